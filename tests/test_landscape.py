"""Walks in weight space: the student put back after an error and a kill, a surface gone on with after a kill, what is
refused, the template, the triangle in a browser."""
import json, os, re, shutil, signal, subprocess, sys, time
from pathlib import Path

import pytest
import torch

import house
from browser import Notebook, browser, loaded, missing, until
from mot_nb.data.corpora import Row
from mot_nb.analysis.landscape import RowLoss, Walk
from mot_nb.analysis.lines import between, fill, mixtures, unfinished
from mot_nb.methods.reopened import branches_again

from mot_nb.analysis.directions import random_direction
from mot_nb.analysis.sharpness import sharper, sharpness
from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_file, hash_tensors
from mot_nb.core.files import read_lines
from mot_nb.student.weights import student_state
from mot_nb.student.students import load_student, student_folder


@pytest.fixture(scope='module')
def student():
    model, tokenizer = load_student('qwen3-tiny')
    rows = [Row(str(i), 't', i, tuple(tokenizer.encode(f'{i} plus 4 is {i + 4}')), 3) for i in range(3)]
    return model, RowLoss(rows)


def refused(what, f):
    with pytest.raises(MotError) as e: f()
    assert what in str(e.value) and 'cure:' in str(e.value), e.value
    return str(e.value)


def test_restored_after_errors(student):
    """Errors and an interrupt at every place of a walk leave the student's bits, its attention and its gradients as
    they were."""
    model, loss = student
    before, attention = hash_tensors(student_state(model)), model.config._attn_implementation
    for error in (ValueError, KeyboardInterrupt, SystemExit, MotError):
        for after in range(3):
            calls = []
            def failing(m):
                calls.append(1)
                if len(calls) > after: raise error('stop')
                return loss(m)
            with pytest.raises(error): sharpness(model, failing, .1, 2)
            assert hash_tensors(student_state(model)) == before and model.config._attn_implementation == attention
    assert all(p.grad is None for p in model.parameters())


def test_a_step_does_not_depend_on_the_one_before(student):
    "Every place is taken from the start: the same step gives the same bits after any other."
    model, loss = student
    with Walk(model, loss) as walk:
        d, e = (random_direction(walk.home, i) for i in (0, 1))
        walk.move((.1, d))
        first = hash_tensors(student_state(model))
        for c in (1., -3., .01): walk.move((c, e))
        walk.move((.1, d))
        assert hash_tensors(student_state(model)) == first


PROBE = """
import sys, time
from mot_nb.analysis.landscape import RowLoss
from mot_nb.analysis.sharpness import sharpness
from mot_nb.data.corpora import Row
from mot_nb.student.students import load_student
model, tokenizer = load_student(sys.argv[1])
class Slow(RowLoss):
    def __call__(self, m): time.sleep(float(sys.argv[3])); return super().__call__(m)
loss = Slow([Row(str(i), 't', i, tuple(tokenizer.encode(f'{i} plus 4 is {i + 4}')), 3) for i in range(3)])
print(repr(sharpness(model, loss, .1, 8, path=sys.argv[2]).rises))
"""


@pytest.mark.long
def test_kill_and_go_on(student, tmp_path):
    """Killed with -9 in the middle: the student on disk is untouched, unfinished cells are known, nothing is measured
    twice, and the end is that of an undisturbed walk."""
    folder, file = tmp_path/'student', tmp_path/'surface.jsonl'
    shutil.copytree(student_folder('qwen3-tiny'), folder)
    before = hash_file(folder/'model.safetensors')
    command = [sys.executable, '-c', PROBE, str(folder), str(file)]
    p = subprocess.Popen([*command, '.4'])
    while not file.exists() or len(read_lines(file)) < 5:
        time.sleep(.05)
        assert p.poll() is None
    p.send_signal(signal.SIGKILL)
    p.wait()
    assert hash_file(folder/'model.safetensors') == before
    done = read_lines(file)[1:]
    assert len(unfinished(file)) == 17 - len(done) > 0
    with open(file, 'a') as f: f.write('{"cell": 9, "value": 1.')        # torn
    model, loss = student
    calls = []
    class Counting(RowLoss):
        def __call__(self, m):
            calls.append(1)
            return super().__call__(m)
    again = sharpness(model, Counting(loss.rows), .1, 8, path=file)
    assert len(calls) == 17 - len(done) and not unfinished(file)
    assert read_lines(file)[1:1 + len(done)] == done
    assert again.rises == sharpness(model, loss, .1, 8).rises


def test_other_surfaces_are_refused(student, tmp_path):
    model, loss = student
    file = tmp_path/'s.jsonl'
    sharpness(model, loss, .1, 2, path=file)
    assert 'radius' in refused('another surface', lambda: sharpness(model, loss, .2, 2, path=file))
    assert 'measure' in refused('another surface', lambda: sharpness(model, RowLoss(loss.rows[:2]), .1, 2, path=file))
    # more directions: goes on
    assert len(sharpness(model, loss, .1, 3, path=file).rises) == 3
    # fewer: it is another
    assert 'cells' in refused('another surface', lambda: sharpness(model, loss, .1, 2, path=file))
    other, _ = load_student('qwen3-tiny', seed=1)
    assert 'student' in refused('another surface', lambda: sharpness(other, loss, .1, 2, path=file))
    (tmp_path/'x.jsonl').write_text('{"a": 1}\n')
    refused('not a surface', lambda: unfinished(tmp_path/'x.jsonl'))


def test_no_number_is_finished_and_is_no_zero(tmp_path):
    "A place where the loss is no number is measured once and kept as such; 0.0 is a value."
    file, asked = tmp_path/'s.jsonl', []
    def measure(x):
        asked.append(x)
        return {'value': {0: 0., 1: None}[x]}
    for _ in range(2): assert [r['value'] for r in fill([0, 1], measure, file)] == [0., None]
    assert asked == [0, 1]


def test_too_small_steps(student):
    "bfloat16 swallows what float32 takes; near nothing is refused in both; the student is whole afterwards."
    model, loss = student
    narrow, _ = load_student('qwen3-tiny', dtype=torch.bfloat16)
    for m, radius, ok in ((narrow, 1e-3, False), (model, 1e-3, True), (model, 1e-8, False), (narrow, .5, True)):
        before = hash_tensors(student_state(m))
        if ok: sharpness(m, loss, radius, 2)
        else: refused('too small', lambda: sharpness(m, loss, radius, 2))
        assert hash_tensors(student_state(m)) == before
    states = {'a': student_state(model), 'b': student_state(load_student('qwen3-tiny', seed=1)[0])}
    refused('float32', lambda: between(narrow, states, [0, 1], loss))


def test_refusals(student, tmp_path):
    model, loss = student
    a = {n: t.clone() for n, t in student_state(model).items()}
    refused('sum to 1', lambda: mixtures(model, {'a': a, 'b': a}, [(.5, .6)], loss))
    refused('another student', lambda: mixtures(model, {'a': a, 'b': {'x': torch.ones(2)}}, [(.5, .5)], loss))
    refused('unknown normalisation', lambda: sharpness(model, loss, .1, 2, norm='filters'))
    refused('not perturbed alike', lambda: sharper(sharpness(model, loss, .1, 2),
                                                   sharpness(model, loss, .1, 2, seed=1)))
    refused('no rows', lambda: RowLoss([]))


def test_branches_must_be_those_that_were_merged(tmp_path):
    "A damaged start is made again; branches whose merge is not the ledger's are refused."
    from safetensors.torch import load_file, save_file
    from mot_nb.methods.runs import run
    small = {'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 8,
                                                       'n_heldout': 0}, 'train': {'lr': 1e-3, 'steps': 1, 'batch': 4,
                                                                                  'compute': 'float32'},
             'rounds': {'rounds': 2, 'methods': ['mot'], 'keep': 'merged'}, 'eval': {'loss_rows': 4}}
    run(small, tmp_path/'r', progress=False)
    whole = branches_again(tmp_path/'r', 2)
    assert set(whole) == {'plain', 'verbose'}
    file = tmp_path/'r/seed-0/students/mot-r1/model.safetensors'
    state = load_file(file)
    save_file({n: t + 1e-4 for n, t in state.items()}, file, metadata={'format': 'pt'})
    again = branches_again(tmp_path/'r', 2)
    assert all(torch.equal(again[k][n], t) for k, state in whole.items() for n, t in state.items())
    ledger = tmp_path/'r/seed-0/ledger.jsonl'
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    for r in lines: r['hash'] = '0'*64 if r['stage'] == 'merge mot-r2' else r.get('hash')
    ledger.write_text(''.join(json.dumps(r) + '\n' for r in lines))
    refused('not those that were merged', lambda: branches_again(tmp_path/'r', 2))
    refused('no such merge', lambda: branches_again(tmp_path/'r', 3))


@pytest.mark.long
def test_template(tmp_path):
    """Template 83 on a small run of its own: a record with every part, and a second call that reads what the first
    measured."""
    from mot_nb.analysis.landscape_record import read_landscape
    from mot_nb.app.pages import execute_page
    page, record = house.ROOT/'nbs'/'reports'/'83_landscape.ipynb', tmp_path/'r.jsonl'
    params = {'record': str(record), 'surfaces': str(tmp_path/'s'), 'rows_each': 2, 'directions': 3, 'products': 3,
              'probes': 2, 'plane_points': 3, 'around_points': 3, 'barrier_points': 3, 'barrier_seeds': 2,
              'back_seeds': 2}
    execute_page(page, tmp_path/'a.ipynb', params)
    head, *rows = read_lines(record)
    assert head['kind'] == 'landscape' and head['hardware']
    assert {r['part'] for r in rows} == {'sharpness', 'compared', 'curvature', 'bent', 'barrier', 'merge', 'around',
                                         'plane', 'back'}
    assert {r['seed'] for r in rows if r['part'] == 'sharpness'} == {0, 1}
    assert all(r['lo'] < r['hi'] for r in rows if r['part'] == 'compared')
    assert not any(unfinished(f) for f in (tmp_path/'s').glob('*.jsonl'))
    kept = read_landscape(record)
    assert [m['n'] for m in kept.merges()] == [2, 2] and {h['n'] for h in kept.half_way()} == {2}
    assert kept.plane('path')[1].names[0] == 'base' and len(kept.around()) == 4
    with pytest.raises(MotError, match='std-plain-r2'):
        execute_page(page, tmp_path/'b.ipynb', {**params, 'record': '', 'students': ['base', 'std-plane-r2']})


SMALL = {'rows_each': 2, 'directions': 2, 'products': 0, 'barrier_points': 0, 'plane_points': 3, 'around_points': 3}


@pytest.mark.long
@pytest.mark.parametrize('students', [['std-plain-r2'], ['oneshot', 'mot-r2'], ['std-plain-r1', 'std-verbose-r1']])
def test_template_with_few_students(tmp_path, students):
    "Whichever students are measured, the reverse trajectory is that of every round of MoT that was kept."
    from mot_nb.analysis.landscape_record import read_landscape
    from mot_nb.app.report import execute_page
    record = tmp_path/'r.jsonl'
    execute_page(house.ROOT/'nbs'/'reports'/'83_landscape.ipynb', tmp_path/'a.ipynb',
                 {**SMALL, 'students': students, 'record': str(record)})
    kept = read_landscape(record)
    assert {r['student'] for r in kept.part('sharpness')} == {*students, 'mot-r2'}
    assert [(p['to'], p['x']) for p in kept.reverse_trajectory()] == [(to, x) for to in ('mot-r1', 'base')
                                                                      for x in (0., .5, 1.)]


@pytest.mark.parametrize('products', [0, 12])
def test_one_probe_is_refused_at_once(tmp_path, products):
    "One probe has no interval: the template says so before a run is made or anything is measured."
    from mot_nb.app.report import execute_page
    from mot_nb.analysis.landscape_runs import check_probes
    start = time.time()
    refused('one probe has no interval', lambda: check_probes(1))
    assert check_probes(0) is None and check_probes(2) is None
    page = house.ROOT/'nbs'/'reports'/'83_landscape.ipynb'
    with pytest.raises(MotError, match='one probe has no interval'):
        execute_page(page, tmp_path/'a.ipynb', {**SMALL, 'run': str(tmp_path/'nowhere'), 'products': products,
                                                'probes': 1})
    assert time.time() - start < 60


@pytest.mark.parametrize('micro_tokens, pieces', [(1, 3), (32, 2), (4096, 1)])
def test_hessian_over_several_packs(micro_tokens, pieces):
    "However the rows are cut into packs, the Hessian is that of all of them: the first pack alone is another."
    from mot_nb.analysis.curvature import Hessian, branch_hessian
    from mot_nb.student.models import byte_tokenizer, tiny_qwen3
    tokenizer = byte_tokenizer()
    model = tiny_qwen3(len(tokenizer), hidden=8, layers=1, heads=2)
    with torch.no_grad():
        for p in model.parameters(): p.mul_(3 if p.ndim > 1 else 1)
    rows = [Row(str(i), 't', i, tuple(tokenizer.encode(text)), 3) for i,
            text in enumerate(('2 plus 3 is 5', '7 minus 4 is 3.', 'it is one'))]
    whole, cut = branch_hessian(model, rows), branch_hessian(model, rows, micro_tokens)
    v = torch.randn(cut.n, generator=torch.Generator().manual_seed(0))
    assert len(cut.pieces) == pieces
    torch.testing.assert_close(cut @ v, whole @ v, rtol=1e-3, atol=1e-5)
    if pieces > 1: assert (Hessian(cut.pieces[:1], cut.parameters) @ v - whole @ v).norm() > .1*(whole @ v).norm()


class Conv1D(torch.nn.Module):
    "Stands for a layer that keeps its weights as [inputs, outputs]; named as GPT-2's."
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))


def written_out(kind, weight, drawn):
    "Filter normalisation, one output after another."
    out = torch.empty_like(drawn)
    for j in range(weight.shape[1] if kind == 'Conv1D' else weight.shape[0]):
        at = (slice(None), j) if kind == 'Conv1D' else j
        out[at] = drawn[at]*weight[at].norm()/drawn[at].norm()
    return out


@pytest.mark.parametrize('kind', ['Conv1D', 'Linear', 'Embedding', 'Conv2d'])
def test_filters_are_outputs(kind):
    "Each output is as long as the student's, in whatever layer; against the definition written out."
    from mot_nb.analysis.directions import filter_dims
    torch.manual_seed(0)
    layer = {'Conv1D': Conv1D, 'Linear': lambda: torch.nn.Linear(5, 3), 'Embedding': lambda: torch.nn.Embedding(4, 3),
             'Conv2d': lambda: torch.nn.Conv2d(2, 3, 2)}[kind]()
    state, filters = {n: p.detach() for n, p in layer.named_parameters()}, filter_dims(layer)
    found, drawn = (random_direction(state, 1, norm, filters)['weight'] for norm in ('filter', 'none'))
    torch.testing.assert_close(found, written_out(kind, state['weight'], drawn))
    assert set(filters) == ({'weight'} if kind.startswith('Conv') else set())


def test_sharpness_of_transposed_weights(tmp_path):
    "A layer and its transposed twin, perturbed by the same draw, have the same loss increase; their files say so."
    twin, rows_first = Conv1D(), torch.nn.Linear(5, 3, bias=False)
    with torch.no_grad(): rows_first.weight.copy_(twin.weight.T)
    loss = lambda m: [(float((m.weight.detach().double()**4).sum()), 1)]
    from mot_nb.analysis import directions
    real = torch.randn
    def drawn(shape, generator, **where):
        first = real(5, 3, generator=generator, **where)
        return first if tuple(shape) == (5, 3) else first.T
    with pytest.MonkeyPatch.context() as m:
        m.setattr(directions.torch, 'randn', drawn)
        a, b = sharpness(twin, loss, .1, 3, path=tmp_path/'a.jsonl'), sharpness(rows_first, loss, .1, 3,
                                                                                path=tmp_path/'b.jsonl')
    assert a.rises == pytest.approx(b.rises, rel=1e-5)
    about = [read_lines(tmp_path/f'{x}.jsonl')[0]['about'] for x in 'ab']
    assert about[0].get('filters') == 'per output' and 'filters' not in about[1]


LOOK = """<script>addEventListener('load', () => {
    const seen = () => [...document.querySelectorAll('.p')].filter(p => getComputedStyle(p).display != 'none')
        .map(p => p.innerText.match(/loss ([0-9.]+)/)[1]).join(' ')
    const before = seen()
    document.querySelectorAll('.c')[7].focus()
    const counts = `scripts ${document.scripts.length} images ${document.images.length}`
    if (document.title != 'broken') document.title = `before ${before} after ${seen()} ${counts}` })</script>"""


@pytest.mark.skipif(browser() is None, reason='no Chromium on this machine')
def test_triangle_in_a_browser(tmp_path):
    """In a real browser: the middle is shown, a place that gets the focus shows its own numbers instead, and hostile
    tokens stay text."""
    from mot_nb.analysis.triangle import triangle_weights
    from mot_nb.views.triangles import triangle_view
    nasty = '</div></style><script>document.title="broken"</script><img src=x onerror=document.title="broken">\u202e'
    cells = [{'weights': list(w), 'value': .5 + i/100, 'lo': None, 'hi': None, 'n': 2, 'right': i, 'asked': 20,
              'answer': nasty, 'tokens': [[nasty, .5], ['7', .9]]} for i, w in enumerate(triangle_weights(3))]
    view = triangle_view({'names': ['a', nasty, 'c'], 'step': 3, 'cells': cells})
    head = f'<head><meta charset="utf-8"><title>-</title>{LOOK}</head>'
    source = f'<!DOCTYPE html><html>{head}<body>{view._repr_html_()}</body></html>'
    (tmp_path/'v.html').write_text(source, encoding='utf-8')
    shown = loaded(tmp_path/'v.html', tmp_path, '--virtual-time-budget=2000')
    title = re.search(r'<title>(.*?)</title>', shown.stdout)[1]
    assert title == 'before 0.540 after 0.570 0.540 scripts 1 images 0', title


def test_triangle_without_its_style_sheet():
    """An untrusted notebook and GitHub drop `<style>`: places have size and colour, tokens their shade, one panel is
    seen, and the text is readable."""
    from mot_nb.analysis.triangle import triangle_weights
    from mot_nb.views.plots import text_contrast
    from mot_nb.views.triangles import triangle_view
    cells = [{'weights': list(w), 'value': i/10, 'lo': None, 'hi': None, 'n': 2, 'tokens': [['7', .95], ['no', .15]]}
             for i, w in enumerate(triangle_weights(3))]
    source = triangle_view({'names': ['a', 'b', 'c'], 'step': 3, 'cells': cells})._repr_html_()
    bare = re.sub('<style>.*?</style>', '', source, flags=re.S)
    place = 'width:4.50em;height:4.50em;margin:1px;border-radius:50%;background:#[0-9a-f]{6}'
    assert len(re.findall(place, bare)) == 10
    shades = re.findall('<a(?: style=background:(#[0-9a-f]{3}))? title', bare)
    assert len(shades) == 2*11 and set(shades) == {'', '#d72'}
    assert bare.count('class="p"') - bare.count('class="p" style="display:none"') == 1
    ground, ink = re.search('class="mot-tri" style="background:(#[0-9a-f]+);color:(#[0-9a-f]+);', bare).groups()
    assert min(text_contrast(ink, c) for c in (ground, '#d72')) >= 4.5 and 'print-color-adjust:exact' in bare


TRIANGLE = '''from mot_nb.views.triangles import triangle_widget
cells = [{'weights': [a/2, b/2, (2 - a - b)/2], 'value': .5 + .1*a + .01*b, 'lo': None, 'hi': None, 'n': 2,
          'tokens': [['7', a/2], [' plus', b/2]]} for a in (2, 1, 0) for b in range(2 - a, -1, -1)]
triangle_widget({'names': ['plain', 'verbose', 'foreign'], 'step': 2, 'cells': cells})'''


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_triangle_widget_in_jupyterlab(lab, tmp_path):
    "In JupyterLab, a click on a corner of the triangle shows that branch alone, and the sliders follow."
    name = lab.write('triangle.ipynb', [TRIANGLE])
    text = "(document.querySelector('.jupyter-widgets .mot-tri')?.innerText || '')"
    with Notebook(tmp_path, lab, name) as tab:
        tab.run_all()
        until(lambda: 'loss' in tab.js(text), 90, 'the widget')
        tab.js("[...document.querySelectorAll('.jupyter-widgets button.jupyter-button')].at(-1).click()")
        until(lambda: 'loss 0.500' in tab.js(text), 20, 'the place that was clicked')
        readouts = "[...document.querySelectorAll('.widget-readout')].map(r => r.innerText).join(' ')"
        assert tab.js(readouts) == '0.00 0.00 1.00'
        if os.environ.get('MOT_PICTURES'): tab.picture(Path(os.environ['MOT_PICTURES'], 'triangle_widget.png'))


def test_seeds_have_directions_of_their_own():
    "Equal seeds perturb alike, another seed otherwise; both ways of a direction are taken, and the rows are counted."
    from mot_nb.analysis.landscape import QuadraticModel, height
    rises = lambda seed: sharpness(QuadraticModel([3., 1., .5, .1], [1., 1., 1., 1.]), height, .1, 4, seed).rises
    assert rises(0) == rises(0) and set(rises(0)).isdisjoint(rises(1)) and len(set(rises(0))) == 4
    slope = lambda m: [(float(m.weight.detach().double().sum()), 1)]
    both_ways = sharpness(QuadraticModel([1.]*4, [1.]*4), slope, .1, 4).rises      # what one way gains the other loses
    assert both_ways == pytest.approx([0]*4, abs=1e-6)
