"What a branch may not get wrong in silence: order, schedule, dropout, narrow types, moments, adapters, checkpoints."
import copy, math
from dataclasses import replace

import pytest
import torch
import transformers as tf

from mot_nb.core.settings import TrainSettings
from mot_nb.data.corpora import Trace, render
from mot_nb.student.branch import (Branch, adamw, batch_rows, damage, learning_rate, newest_checkpoint, save_checkpoint,
                                   take_moments, write_checkpoint)
from mot_nb.student.loss import row_losses
from mot_nb.student.models import byte_tokenizer, tiny_qwen3
from mot_nb.student.weights import student_state

tok = byte_tokenizer()
QUESTIONS = [('2 + 2 = ?', 'It is 4.'), ('And 3 + 3?', 'Three and three make six. Answer: 6'), ('1?', '1'),
             ('5 + 1?', '6')]
ROWS = [render(Trace(str(i), 't', q, a, ''), tok) for i, (q, a) in enumerate(QUESTIONS)]
TRAIN = TrainSettings(lr=1e-3, steps=3, batch=4, micro_tokens=96, clip=1.0, eps=1e-6, compute='float32')


def student(seed=1): return tiny_qwen3(len(tok), seed=seed)


def branch(train=TRAIN, model=None, total=3, **how):
    return Branch(model or student(), ROWS, train, total, label='t', **how)


def apart(a, b): return max(float((a[n].float() - b[n].float()).abs().max()) for n in a)


def test_every_epoch_has_an_order_of_its_own():
    rows = list(range(20))
    def epochs(seed): return [[r for s in range(4*e, 4*e + 4) for r in batch_rows(rows, s, 5, seed)] for e in range(3)]
    found = epochs(0) + epochs(1)
    assert all(sorted(e) == rows for e in found)
    assert len({tuple(e) for e in found}) == 6
    assert epochs(0) == epochs(0)


@pytest.mark.parametrize('schedule', ['constant', 'linear', 'cosine'])
@pytest.mark.parametrize('warm', [0, 2])
def test_a_schedule_is_that_of_torch(schedule, warm):
    "Step by step, over all rounds; the warm-up begins above 0 and its last step is below the full rate."
    total, train = 10, TrainSettings(lr=1., schedule=schedule, warmup=warm/10)
    optimiser, left = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.), total - warm
    at = torch.optim.lr_scheduler
    theirs = {'constant': lambda: at.ConstantLR(optimiser, factor=1.),
              'linear': lambda: at.LinearLR(optimiser, 1., 0., left),
              'cosine': lambda: at.CosineAnnealingLR(optimiser, left)}[schedule]()
    rates = [(s + 1)/(warm + 1) for s in range(warm)]
    for _ in range(left):
        rates.append(optimiser.param_groups[0]['lr'])
        optimiser.step()
        theirs.step()
    assert [learning_rate(s, total, train) for s in range(total)] == pytest.approx(rates)


@pytest.mark.parametrize('recomputed', [False, True])
def test_no_dropout_while_training(recomputed):
    "The loss of a step is the one that is measured, also of a family with dropout and with activations recomputed."
    config = tf.GPT2Config(vocab_size=len(tok), n_embd=32, n_layer=2, n_head=2, resid_pdrop=.5, embd_pdrop=.5,
                           attn_pdrop=.5, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(0)
    model = tf.GPT2LMHeadModel(config)
    sums, counts = zip(*row_losses(copy.deepcopy(model).eval(), ROWS))
    log = branch(replace(TRAIN, checkpointing=recomputed), model).train(1)
    assert log[0]['loss'] == pytest.approx(sum(sums)/sum(counts), rel=1e-5)


def test_narrow_weights_follow_their_masters():
    "In bfloat16 the model computes with what the masters are; over several packs the gradient is nearly float32's."
    narrow, wide = branch(replace(TRAIN, compute='bfloat16')), branch()
    logs = [[r['norm'] for r in b.train(3)] for b in (narrow, wide)]
    assert all(torch.equal(p, narrow.masters[n].bfloat16()) for n, p in narrow.body.working.items())
    assert logs[0] == pytest.approx(logs[1], rel=.03)
    assert narrow.weights().keys() == wide.weights().keys() and narrow.log[-1]['loss'] < narrow.log[0]['loss']


def test_moments_go_on_where_they_are_handed_over(tmp_path):
    "Two branches, the second with the first's moments: one AdamW that goes on; with fresh ones it is another student."
    whole, first = branch(total=4), branch(total=4)
    whole.train(4)
    first.train(2)
    write_checkpoint(first, tmp_path/'moments', only_moments=True)
    state = first.weights()
    kept, fresh = (branch(total=4, state=state, step=2) for _ in range(2))
    take_moments(kept, tmp_path/'moments')
    for b in (kept, fresh): b.train(2)
    assert apart(kept.weights(), whole.weights()) < 1e-7 < 1e-5 < apart(fresh.weights(), whole.weights())


def test_decay_betas_and_epsilon_are_those_asked_for():
    masters = dict(student().named_parameters())
    optimiser = adamw(masters, replace(TRAIN, weight_decay=.1, betas=(.8, .9), eps=1e-5))
    for g in optimiser.param_groups:
        assert (g['betas'], g['eps']) == ((.8, .9), 1e-5)
        assert len({p.ndim > 1 for p in g['params']}) == 1
        assert g['weight_decay'] == (.1 if g['params'][0].ndim > 1 else 0.)


def lora_branch(**how): return branch(replace(TRAIN, lora_rank=2, lora_alpha=8, lr=1e-2), **how)


def test_lora_weights_are_those_that_peft_merges():
    b = lora_branch()
    b.train(2)
    ours, theirs = b.weights(), b.body.lora.merge_and_unload()
    assert apart(ours, student_state(theirs)) < 1e-6 and apart(ours, student_state(student())) > 1e-4


def test_adapters_are_drawn_anew_in_every_round():
    drawn = lambda **how: {n: p.detach().clone() for n, p in lora_branch(**how).masters.items() if 'lora_A' in n}
    first = drawn(step=0)
    assert apart(first, drawn(step=0)) == 0
    assert all(apart(first, drawn(**how)) > 1e-3 for how in (dict(step=2), dict(seed=1)))


def test_which_checkpoint_a_branch_goes_on_from(tmp_path):
    "The newest of its own that is whole and not behind the stop."
    b = branch()
    for _ in range(3):
        b.train(1)
        save_checkpoint(b, tmp_path, keep=3)
    quiet = dict(say=lambda text: None)
    newest = lambda **how: newest_checkpoint(tmp_path, **{'label': 't', **quiet, **how})
    assert (newest(), newest(most=2), newest(most=0), newest(label='another')) == (3, 2, 0, 0)
    file = tmp_path/'step-0000003'/'optimiser.safetensors'
    data = bytearray(file.read_bytes())
    data[-1] ^= 1                                   # one bit of the last number
    file.write_bytes(data)
    assert newest() == 2


def test_a_checkpoint_says_how_it_is_hashed(tmp_path):
    "BLAKE3 by name; one of an earlier version, which names none, has sha256 and is still taken."
    import hashlib, json
    b = branch()
    b.train(1)
    path = write_checkpoint(b, tmp_path/'step-0000001')
    about = json.loads((path/'checkpoint.json').read_text())
    assert about['hash'] == 'blake3' and damage(path, 't') is None
    old = {f: hashlib.sha256((path/f).read_bytes()).hexdigest() for f in about['hashes']}
    assert len(old) == 2 and old != about['hashes']
    def write(**fields): (path/'checkpoint.json').write_text(json.dumps({**about, **fields}))
    write(hashes=old)
    assert 'other bytes' in damage(path, 't')       # sha256 under the other name
    del about['hash']
    write(hashes=old)
    assert damage(path, 't') is None
    write()
    assert 'other bytes' in damage(path, 't')


def test_a_step_is_adamw_on_the_mean_over_supervised_tokens():
    "Against torch, written out over rows alone: packs of several sizes, clipped and not."
    for clip in (0., .05):
        train = replace(TRAIN, clip=clip, weight_decay=.1)
        b, plain = branch(train), student()
        matrices, others = ([p for p in plain.parameters() if (p.ndim > 1) == m] for m in (True, False))
        groups = [{'params': matrices, 'weight_decay': .1}, {'params': others, 'weight_decay': 0.}]
        optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=train.betas, eps=1e-6)
        b.train(2)
        for step in range(2):
            total = n = 0
            for r in batch_rows(ROWS, step, 4, 0):
                ids = torch.tensor([r.input_ids])
                logits = plain(ids).logits[0, r.n_prompt - 1:-1]
                total = total + torch.nn.functional.cross_entropy(logits, ids[0, r.n_prompt:], reduction='sum')
                n += len(r) - r.n_prompt
            (total/n).backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), clip or math.inf)
            optimiser.step()
            optimiser.zero_grad()
        assert apart(b.weights(), student_state(plain)) < 1e-5
