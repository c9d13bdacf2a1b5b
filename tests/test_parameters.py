"Parameters of pages and templates: as papermill's own command line passes them, and folders as a reader means them."
import json, os, re, subprocess, sys
from pathlib import Path

import pytest

import house
from mot_nb.app.pages import page_parameters, typed_parameters
from mot_nb.core.errors import MotError
from mot_nb.core.files import COPIED, runs_folder

TEMPLATES = sorted((house.ROOT/'nbs'/'reports').glob('8*.ipynb'))


def cells(template):
    "(source of the parameters cell, that of the next code cell) of a template."
    code = [c for c in json.loads(template.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']
    at = next(i for i, c in enumerate(code) if 'parameters' in c['metadata'].get('tags', []))
    return ''.join(code[at]['source']), ''.join(code[at + 1]['source'])


@pytest.mark.parametrize('template', TEMPLATES, ids=lambda p: p.stem)
def test_papermill_reads_every_parameter(template):
    "What papermill finds in the cell is what Python finds there, and the page's next cell begins by reading it."
    import ast
    source, following = cells(template)
    names = [getattr(n, 'target', None) or n.targets[0] for n in ast.parse(source).body]
    assert list(page_parameters(template)) == [n.id for n in names]
    assert 'read_parameters(globals())' in following.split('\n')[:3]


CASES = {'one text for a list': ('81', {'results': 'runs/a'}, {'results': ['runs/a']}),
         'one teacher': ('82', {'teachers': 'plain'}, {'teachers': ['plain']}),
         'a number as text': ('82', {'problems': '2'}, {'problems': 2}),
         'one number for a list': ('81', {'claims': 3}, {'claims': [3]}),
         'a number as text for a list': ('83', {'seeds': '1', 'radii': '.2'}, {'seeds': [1], 'radii': [.2]}),
         'a list as text': ('80', {'seeds': '[0, 2]', 'teachers': '[plain, verbose]'},
                            {'seeds': [0, 2], 'teachers': ['plain', 'verbose']}),
         'a number for a name': ('84', {'name_a': 2024}, {'name_a': '2024'}),
         'nothing': ('85', {'peers': None, 'branches': ''}, {'peers': '', 'branches': []}),
         'a rate as text': ('80', {'lr': '1e-4', 'steps': '5e1'}, {'lr': 1e-4, 'steps': 50})}


@pytest.mark.parametrize('case', CASES)
def test_values_of_the_command_line(case):
    number, given, wanted = CASES[case]
    template = next(t for t in TEMPLATES if t.stem.startswith(number))
    got = typed_parameters(cells(template)[0], given)
    assert got == wanted and [type(v) for v in got.values()] == [type(v) for v in wanted.values()]


@pytest.mark.parametrize('number, given, says', [
    ('81', {'result': ['runs/a']}, "did you mean 'results'"), ('82', {'problems': 'two'}, 'a whole number'),
    ('80', {'lr': float('nan')}, 'a number'),
    ('83', {'seeds': ['a']}, 'a list of int'), ('80', {'steps': 2.5}, 'a whole number'),
    ('82', {'run': ['a', 'b']}, 'text'), ('80', {'batch': True}, 'a whole number')])
def test_what_is_none_of_a_page_is_refused(number, given, says):
    template = next(t for t in TEMPLATES if t.stem.startswith(number))
    with pytest.raises(MotError, match=says): typed_parameters(cells(template)[0], given)


@pytest.fixture
def page(tmp_path):
    "A page that reads its parameters and writes what they are."
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    import nbformat
    kernel = {'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}}
    tagged = new_code_cell("results: list = []\nproblems = 5\nruns = ''", metadata={'tags': ['parameters']})
    code = ("from mot_nb.app.pages import read_parameters\nread_parameters(globals())\nimport json\n"
            "open('told', 'w').write(json.dumps([results, problems, runs]))")
    cells = [new_markdown_cell('# A page'), tagged, new_code_cell(code)]
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path/'page.ipynb')
    return tmp_path/'page.ipynb'


def test_by_papermill_itself(page):
    "One text is a list of one; a name that the page does not have ends it, and papermill's exit code says so."
    papermill = [str(Path(sys.executable).parent/'papermill'), str(page), 'out.ipynb']
    run = lambda *words: subprocess.run([*papermill, *words], capture_output=True, text=True, cwd=page.parent)
    done = run('-p', 'results', 'runs/a', '-r', 'problems', '2', '-p', 'runs', 'some/runs')
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((page.parent/'told').read_text()) == [['runs/a'], 2, str(page.parent/'some'/'runs')]
    done = run('-y', 'result: [runs/a]')
    assert done.returncode != 0 and "unknown parameter 'result'" in done.stderr


def test_folders_of_runs(tmp_path, monkeypatch, capsys):
    "Below the current folder where it is there; in a page's own folder below the checkout; training is said."
    (tmp_path/'nbs'/'paper').mkdir(parents=True)
    (tmp_path/'data'/'profiles').mkdir(parents=True)
    monkeypatch.setenv('MOT_DATA', str(tmp_path/'data'))
    monkeypatch.chdir(tmp_path/'nbs'/'paper')
    assert runs_folder('') == '' and runs_folder(str(tmp_path)) == str(tmp_path) and not capsys.readouterr().out
    assert runs_folder('reports/laptop/runs') == str(tmp_path/'reports'/'laptop'/'runs')
    assert 'trained' in capsys.readouterr().out
    (tmp_path/'reports'/'laptop'/'runs').mkdir(parents=True)
    assert runs_folder('reports/laptop/runs') == str(tmp_path/'reports'/'laptop'/'runs') and not capsys.readouterr().out
    os.makedirs('mine')
    assert runs_folder('mine') == str(tmp_path/'nbs'/'paper'/'mine')


def test_folders_of_runs_in_a_working_copy(tmp_path, monkeypatch, capsys):
    "Below the copy, not below its folder of pages; below the checkout where they are there already."
    (tmp_path/'data'/'profiles').mkdir(parents=True)
    (tmp_path/'reports'/'runs').mkdir(parents=True)
    monkeypatch.setenv('MOT_DATA', str(tmp_path/'data'))
    for copy in (tmp_path/'mine', tmp_path.parent/f'{tmp_path.name} away'):
        (copy/'paper').mkdir(parents=True)
        (copy/COPIED).write_text('{}')
        monkeypatch.chdir(copy/'paper')
        assert runs_folder('runs/a') == str(copy/'runs'/'a') and 'trained' in capsys.readouterr().out
        assert runs_folder('reports/runs') == str(tmp_path/'reports'/'runs') and not capsys.readouterr().out
    (copy/'reports'/'runs').mkdir(parents=True)
    assert runs_folder('reports/runs') == str(copy/'reports'/'runs')


@pytest.mark.parametrize('page', sorted((house.ROOT/'nbs'/'paper').glob('5*.ipynb')), ids=lambda p: p.stem)
def test_no_page_trains_in_silence(page):
    "The library says where something has to be trained, and shows how far it is."
    code = '\n'.join(''.join(c['source']) for c in json.loads(page.read_text(encoding='utf-8'))['cells'])
    assert not re.search(r'(?:profile|variant|found)_run\([^\n]*progress=False', code)


def test_training_is_said(tmp_path, monkeypatch, capsys):
    "Where somebody looks on: one line and progress; of a run that is there, and for a program, nothing."
    from mot_nb.methods import runs
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, 'run', lambda settings, out, progress: shown.append((out, progress)))
    shown = []
    for looked_on in (True, False):
        monkeypatch.setattr(runs, 'watched', lambda: looked_on)
        runs.profile_run('smoke', 'toy', 'mine')
        assert ('is trained now' in capsys.readouterr().out) == looked_on
    for seed in (0, 1):
        (tmp_path/'mine'/'toy'/f'seed-{seed}').mkdir(parents=True)
        (tmp_path/'mine'/'toy'/f'seed-{seed}'/'metrics.jsonl').touch()
    runs.profile_run('smoke', 'toy', 'mine', progress=True)
    assert 'trained' not in capsys.readouterr().out
    assert shown == [(tmp_path/'mine'/'toy', p) for p in (True, False, True)]


def test_runs_are_meant_from_where_the_caller_is(page, tmp_path, monkeypatch):
    from mot_nb.app.pages import execute_page
    (tmp_path/'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path/'elsewhere')
    execute_page(page, tmp_path/'out.ipynb', {'runs': 'some/runs'})
    assert json.loads((page.parent/'told').read_text())[2] == str(tmp_path/'elsewhere'/'some'/'runs')


@pytest.mark.parametrize('logs, where, says', [
    ({'rank-0.log': '03:30:40 rank 0 of 8\n', 'rank-1.log': '03:30:40 rank 1\n03:30:41 no room\n  cure: more\n'},
     'rank-1.log', 'no room\n  cure: more'),
    ({'rank-0.log': ''}, 'the launcher', 'ChildFailedError'), ({}, 'the launcher', 'ChildFailedError')])
def test_why_processes_failed(tmp_path, logs, where, says):
    "Page 58 shows the cause that a rank wrote down, not the launcher's traceback."
    from mot_nb.methods.launch import why_failed
    for name, text in logs.items():
        (tmp_path/'logs').mkdir(exist_ok=True)
        (tmp_path/'logs'/name).write_text(text)
    error = why_failed(tmp_path, 'ChildFailedError')
    assert (error.where, error.values) == (where, says)


def test_two_pages_read_one_run(tmp_path):
    "A page that opens a finished run while another one reads it waits a moment; one that is being made is refused."
    import threading, time
    from mot_nb.methods.manifest import only_process
    def hold(seconds):
        with only_process(tmp_path):
            held.set()
            time.sleep(seconds)
    for seconds, refused in ((.5, False), (5, True)):
        held = threading.Event()
        other = threading.Thread(target=hold, args=(seconds,))
        other.start()
        held.wait()
        try:
            with only_process(tmp_path): assert not refused
        except MotError as e: assert refused and 'another process' in str(e)
        other.join()
