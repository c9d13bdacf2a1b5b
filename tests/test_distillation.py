"Teachers that are models, and merges by least squares: each against an independent reference."
import math

import pytest
import torch
import torch.nn.functional as F

from mot_nb.analysis.many_methods import grams, least_squares_merge, regmean
from mot_nb.core.settings import load_settings
from mot_nb.data.worlds import World, world_pool
from mot_nb.methods import stacked_labs
from mot_nb.methods.stacked_labs import Bench, StackedLab
from mot_nb.student.distillation import Distillation, StackedTeachers, generalised_jsd, mean_distribution
from mot_nb.student.stacked import flatten
from mot_nb.student.stacked_training import StackedBranch, train_stacked

SETTINGS = {'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'compute': 'float32'}, 'rounds': {'rounds': 2}}
OWN = Distillation(.5, own_rows=True, max_new_tokens=30)
BETAS = (0., .1, .5, .9, 1.)


@pytest.fixture(scope='module')
def lab():
    "Two teachers, twelve traces."
    torch.set_num_threads(1)
    return StackedLab(Bench(), world_pool(World(2, 'own', 'none', 0., False, 12), 0, 1), load_settings(SETTINGS))


def logits(seed):
    "Two tensors [batch, tokens, vocabulary], and labels of which some are ignored."
    g = torch.Generator().manual_seed(seed)
    student, teacher = (3*torch.randn(2, 9, 13, generator=g) for _ in range(2))
    labels = torch.randint(0, 13, (2, 9), generator=g)
    labels[torch.rand(2, 9, generator=g) < .3] = -100
    return student, teacher, labels


def by_the_paper(student, teacher, beta):
    "Eq. 1 of 2306.13649 in probabilities, one token, one word at a time."
    def kl(p, q): return sum(float(a)*math.log(float(a)/float(b)) for a, b in zip(p, q))
    p, q = teacher.double().softmax(-1), student.double().softmax(-1)
    if beta in (0., 1.): return kl(p, q) if beta == 0 else kl(q, p)
    return beta*kl(p, beta*p + (1 - beta)*q) + (1 - beta)*kl(q, beta*p + (1 - beta)*q)


@pytest.mark.parametrize('beta', BETAS)
def test_the_divergence_is_the_papers(beta):
    student, teacher, _ = logits(0)
    found = generalised_jsd(student.log_softmax(-1), teacher.log_softmax(-1), beta)
    expected = torch.tensor([[by_the_paper(s, t, beta) for s, t in zip(*one)] for one in zip(student, teacher)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('beta', BETAS)
def test_loss_and_gradient_are_trls(beta):
    "`GKDTrainer.generalized_jsd_loss`, over the tokens that are learnt."
    gkd = pytest.importorskip('trl.experimental.gkd', reason='TRL is in .venv/peers alone')
    student, teacher, labels = logits(1)
    student.requires_grad_()
    expected = gkd.GKDTrainer.generalized_jsd_loss(student, teacher, labels, beta)
    found = generalised_jsd(student.log_softmax(-1), teacher.log_softmax(-1), beta)[labels >= 0].mean()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(*(torch.autograd.grad(x, student)[0] for x in (found, expected)), rtol=0, atol=1e-5)


def test_teachers_are_averaged_as_probabilities():
    "The mean of two opposite teachers is undecided; the mean of their logits would be as well, of uneven ones not."
    said = torch.tensor([[9., 0., 0.], [0., 3., 0.]])[:, :, None]
    found = mean_distribution(said, torch.full((2, 1), .5)).exp()
    torch.testing.assert_close(found, said.softmax(1).mean(0))
    assert (found - said.mean(0).softmax(0)).abs().max() > .1


def test_the_loss_of_a_path_is_the_cross_entropy_to_the_teachers(lab):
    "The gradient of the forward KL is that of the cross-entropy to the teachers' mean: one step, the same weights."
    models = {t: lab.train(lab.base, t, until=4) for t in lab.teachers}
    for m in models.values(): lab.made(m)
    student = lab.distil(lab.base, models, Distillation(), 1)
    found = lab.weights(student)
    from mot_nb.core.hashes import derive_seed
    from mot_nb.student.branch import adamw, batch_rows
    from mot_nb.student.weights import load_state, student_state
    rows = batch_rows([r for t in lab.teachers for r in lab.rows[t]], 0, 4, derive_seed(lab.seed, 'order', 'union'))
    net, each = lab.bench.model, []
    def said(state, row):
        load_state(net, state)
        return net(torch.tensor([row.input_ids])).logits[0, row.n_prompt - 1:-1]
    with torch.no_grad():
        goals = [torch.stack([said(lab.weights(m), r).softmax(-1) for m in models.values()]).mean(0) for r in rows]
    load_state(net, lab.weights(lab.base))
    for r, goal in zip(rows, goals):
        out = net(torch.tensor([r.input_ids])).logits[0, r.n_prompt - 1:-1]
        each.append(F.cross_entropy(out, goal, reduction='none'))
    net.zero_grad()
    torch.cat(each).mean().backward()
    step = adamw(dict(net.named_parameters()), lab.settings.train)
    torch.nn.utils.clip_grad_norm_(net.parameters(), lab.settings.train.clip or math.inf)
    step.step()
    start, expected = lab.weights(lab.base), student_state(net)
    apart = sum(float((found[n] - expected[n]).square().sum()) for n in found)
    moved = sum(float((expected[n] - start[n]).square().sum()) for n in found)
    assert moved > 0 and apart < 1e-3*moved


def test_on_policy_rows_are_the_students_own(lab, monkeypatch):
    "What is learnt are the prompts with what the student says: the same step is taken when these rows are given."
    seen, true = [], stacked_labs.sampled_rows
    def watched(*args):
        seen.append((args[2], true(*args)))
        return seen[-1][1]
    monkeypatch.setattr(stacked_labs, 'sampled_rows', watched)
    models = {t: lab.train(lab.base, t, until=4) for t in lab.teachers}
    found = flatten(lab.bench.shape, lab.weights(lab.distil(lab.base, models, OWN, 1)))
    (asked, (said,)), = seen
    assert [r.input_ids[:r.n_prompt] for r in said] == [r.input_ids[:r.n_prompt] for r in asked]
    assert all(len(r) - r.n_prompt <= OWN.max_new_tokens for r in said)
    made, start = lab.bench.made, lab.bench.made[lab.base.key]
    taught = StackedTeachers({t: made[m.key] for t, m in models.items()}, Distillation(.5))
    by_hand = [train_stacked(lab.bench.shape, [StackedBranch(start, rows, lab.settings.train, 1, (1,), teach=taught)])
               for rows in (said, asked)]
    own, theirs = (b[0].kept[1] for b in by_hand)
    assert (found - own).norm() < 1e-2*(own - start).norm() < (own - theirs).norm()


def test_least_squares_merge_is_the_least_squares_solution():
    g = torch.Generator().manual_seed(3)
    X = [s*torch.randn(50, 6, generator=g, dtype=torch.float64) for s in (1., 4., .2)]
    W = [torch.randn(5, 6, generator=g, dtype=torch.float64) for _ in X]
    direct = torch.linalg.lstsq(torch.cat(X), torch.cat([x @ w.T for x, w in zip(X, W)])).solution.T
    torch.testing.assert_close(least_squares_merge([x.T @ x for x in X], W, 1.), direct, rtol=0, atol=1e-6)
    assert (direct - sum(W)/3).abs().max() > .1
    damped = least_squares_merge([x.T @ x for x in X], W)
    assert (damped - direct).abs().max() > 1e-3


def test_regmean_in_a_student_minimises_what_it_says(lab):
    "On the branches' own inputs no linear layer is nearer to all branches: a step in any direction is farther."
    states = {t: lab.weights(lab.train(lab.base, t, until=6)) for t in lab.teachers}
    merged, name = regmean(lab.weights(lab.base), states, lab, keep=1.), 'model.layers.1.mlp.up_proj.weight'
    inputs = {t: grams(lab, s, lab.rows[t][:16])[name] for t, s in states.items()}
    def far(w):
        apart = {t: w.double() - s[name].double() for t, s in states.items()}
        return sum(float((d @ inputs[t] * d).sum()) for t, d in apart.items())
    best, mean = far(merged[name]), far(sum(s[name] for s in states.values())/2)
    g = torch.Generator().manual_seed(0)
    for _ in range(20): assert far(merged[name] + 1e-3*torch.randn(merged[name].shape, generator=g)) > best
    assert best < mean
    row, first = lab.rows['plain'][0], 'model.layers.0.self_attn.q_proj.weight'
    with torch.no_grad(), lab.place.answering(state=states['plain']) as model:
        x = model.model.layers[0].input_layernorm(model.model.embed_tokens(torch.tensor(row.input_ids))).double()
    torch.testing.assert_close(grams(lab, states['plain'], [row])[first], x.T @ x, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(merged['model.norm.weight'], sum(s['model.norm.weight'] for s in states.values())/2)
