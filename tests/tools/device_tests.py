"""No analysis lets a tensor of the CPU meet one of a device, and every result comes back as on the CPU.

The device is `tools/pretend.py`'s: any build of torch has it, and operations across devices fail as on a GPU.
"""
import numpy as np
import pytest
import torch

from pretend import device, pretended
from mot_nb.analysis.barriers import barriers, reverse
from mot_nb.analysis.confidence import row_confidence
from mot_nb.analysis.curvature import branch_hessian, lanczos, trace
from mot_nb.analysis.directions import difference
from mot_nb.analysis.landscape import RowLoss, Walk
from mot_nb.analysis.lines import line
from mot_nb.analysis.planes import grid, plane, surface, surface_around
from mot_nb.analysis.predictions import RoundStart
from mot_nb.analysis.quadratics import spectrum
from mot_nb.analysis.sharpness import sharpness
from mot_nb.analysis.suite import bits_of
from mot_nb.analysis.triangle import triangle
from mot_nb.core import machine
from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_tensors
from mot_nb.data.corpora import render_corpus
from mot_nb.data.toy import toy_corpora, toy_problems
from mot_nb.student.students import load_student
from mot_nb.student.weights import student_state

device()   # before any backward: a toy student that is not in the cache yet is trained where it is loaded


@pytest.fixture(scope='module')
def given():
    "(model on the CPU, tokenizer, three states on the CPU, a row of each teacher)."
    model, tokenizer = load_student('toy-tiny')
    states = {str(s): student_state(load_student('toy-tiny', seed=s)[0]) for s in (0, 1, 2)}
    corpora = toy_corpora(toy_problems(2), ('plain', 'verbose'))
    return model, tokenizer, states, [render_corpus(c, tokenizer, 512)[0] for c in corpora.values()]


def numbers(x):
    "Everything in a result that is a number, in order; a tensor of the device would not be one."
    if isinstance(x, dict): return [n for v in x.values() for n in numbers(v)]
    if isinstance(x, (list, tuple)): return [n for v in x for n in numbers(v)]
    if isinstance(x, np.ndarray): return x.ravel().tolist()
    if isinstance(x, torch.Tensor): return x.numpy().ravel().tolist()
    if hasattr(x, '__dataclass_fields__'): return numbers(vars(x))
    return [x] if isinstance(x, (int, float)) else []


POINTS = [-.1, 0., .1]
ANALYSES = {
    'confidence': lambda m, tok, states, rows: row_confidence(m, rows),
    'line': lambda m, tok, states, rows: line(m, difference(states['0'], states['1']), POINTS, RowLoss(rows)),
    'barriers': lambda m, tok, states, rows: barriers(m, states, RowLoss(rows), 3),
    'reverse': lambda m, tok, states, rows: reverse(m, states, RowLoss(rows), (0., .5)),
    'plane': lambda m, tok, states, rows: surface(m, states, p := plane(states, device=m.device), *grid(p, 2),
                                                  RowLoss(rows)),
    'around': lambda m, tok, states, rows: surface_around(m, POINTS, POINTS, RowLoss(rows))[0],
    'sharpness': lambda m, tok, states, rows: sharpness(m, RowLoss(rows), .1, 2).row(),
    'triangle': lambda m, tok, states, rows: triangle(m, tok, states, RowLoss(rows), rows[0], [('1 + 1', '2')], 3, 4),
    'largest eigenvalue': lambda m, tok, states, rows: lanczos(branch_hessian(m, rows), 3),
    'three vectors': lambda m, tok, states, rows: lanczos(branch_hessian(m, rows), 3, keep=False),
    'trace': lambda m, tok, states, rows: trace(branch_hessian(m, rows), 2),
    'theory': lambda m, tok, states, rows: spectrum((s := RoundStart(m, rows)).product, s.gradient, 3).values,
    'bits': lambda m, tok, states, rows: bits_of(m, tok, 'a b c')}


@pytest.mark.parametrize('name', ANALYSES)
def test_an_analysis_computes_where_the_student_is(given, name):
    model, tokenizer, states, rows = given
    wanted = numbers(ANALYSES[name](model, tokenizer, states, rows))
    with pretended() as device:
        there = load_student('toy-tiny', device=device)[0]
        before, found = hash_tensors(student_state(there)), ANALYSES[name](there, tokenizer, states, rows)
        assert there.device == device and hash_tensors(student_state(there)) == before
    assert wanted and numbers(found) == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_the_device_is_none_of_the_cpu():
    "What the test stands on: operations across devices and `.numpy()` fail; copies and numbers pass."
    with pretended() as device:
        a, b = torch.ones(2, device=device), torch.ones(2)
        for wrong in (lambda: a + b, lambda: torch.stack([a, b]), lambda: a.numpy(), lambda: torch.dot(b, a)):
            with pytest.raises((RuntimeError, TypeError)): wrong()
        assert (a + torch.tensor(1.)).cpu().tolist() == [2., 2.] and a.copy_(b).device == device


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    "A finished run of two rounds that kept its students."
    from mot_nb.methods.runs import run
    out = tmp_path_factory.mktemp('own')/'run'
    small = {'student': {'name': 'toy-tiny'}, 'eval': {'loss_rows': 2}, 'rounds': {'rounds': 2, 'keep': 'all'},
             'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 6, 'n_heldout': 0},
             'train': {'lr': 1e-3, 'steps': 1, 'batch': 4, 'compute': 'float32'}}
    run(small, out, progress=False)
    return out


def test_runs_are_measured_on_a_device(own, tmp_path):
    "Confidence and landscape of a run, forgetting and theory: what takes folders loads them there."
    from mot_nb.analysis.confidence_runs import score_run
    from mot_nb.analysis.forgetting import measure_students
    from mot_nb.analysis.landscape_runs import LandscapeRun, measure_barriers, measure_planes, measure_sharpness
    from mot_nb.analysis.predictions import measure_rounds
    from mot_nb.analysis.suite import make_suite
    from mot_nb.core.settings import load_settings
    suite = make_suite(1, 1, 1, 1)
    def measured(device, at):
        runs, _ = score_run(own, 1, device=device, kept=at)
        m = LandscapeRun(own, rows_each=1, directions=2, device=device)
        assert m.model.device == torch.device(device or 'cpu')
        found = numbers([s.row() for s in measure_sharpness(m).values()]), numbers(measure_barriers(m, 3))
        parts = [s for s, *_ in measure_planes(m, 2).values()]
        rows = measure_students({'base': ('toy-tiny', {})}, suite, at/'f.jsonl', None, device)['base']
        forgot = [r['value'] for r in rows]
        small = load_settings(own/'settings.yaml', ['data.n_train=1', 'data.teachers=[plain]', 'rounds.rounds=1'])
        theory = measure_rounds(small, sharp=(.5,), products=2, device=device)
        return numbers([[s.logprob for s in r] for r in runs]), *found, numbers(parts), numbers(forgot), numbers(theory)
    wanted = measured(None, tmp_path/'a')
    with pretended() as device: found = measured(device, tmp_path/'b')
    for a, b in zip(wanted, found): assert a and b == pytest.approx(a, rel=5e-3, abs=1e-3)


def test_a_student_that_does_not_fit_is_refused(monkeypatch):
    "Before it is moved, with what it needs; where vectors do not fit beside it, the CPU holds them."
    from mot_nb.student import students
    from mot_nb.analysis import curvature, landscape
    with pretended() as device:
        model, _ = load_student('toy-tiny', device=device)
        n = 4 * sum(p.numel() for p in model.parameters())
        for factor, held in ((9, device), (5, torch.device('cpu')), (3, None)):
            monkeypatch.setattr(curvature, 'free_memory', lambda d: factor * n)
            monkeypatch.setattr(machine, 'free_memory', lambda d: factor * n)
            if held: assert curvature.Hessian([], model.parameters()).device == held
            else:
                with pytest.raises(MotError, match='does not fit'): curvature.Hessian([], model.parameters())
        monkeypatch.setattr(machine, 'free_memory', lambda d: n // 2)
        with pytest.raises(MotError, match='bfloat16'): students.load_student('toy-tiny', device=device)
        monkeypatch.setattr(landscape, 'free_memory', lambda d: n)     # weights as they were go to main memory
        with Walk(model, lambda m: [(1., 1)]) as walk:
            assert {t.device.type for t in walk.home.values()} == {'cpu'}
            walk.move((.1, {name: torch.ones(t.shape) for name, t in walk.home.items()}))


@pytest.mark.parametrize('asked', ['gpu', 'meta', 'cuda:77', 'mps'])
def test_a_device_that_is_not_here(asked):
    for wrong in (lambda: machine.compute_device(asked), lambda: load_student('toy-tiny', device=asked)):
        with pytest.raises(MotError, match='cannot be computed on'): wrong()
    assert machine.compute_device('').type == ('cuda' if torch.cuda.is_available() else 'cpu')
