"The house rules hold in this checkout; each rule is in tests/tools/house.py or house_numbers.py."
import json, os, subprocess, sys, textwrap
from pathlib import Path

import pytest

import house


@pytest.mark.parametrize('rule', house.CHECKS)
def test_house_rule(rule):
    complaints = house.CHECKS[rule]()
    assert not complaints, '\n' + '\n'.join(complaints)


QUIET = '''
import importlib, sys, time
calls, harmless = [], ("socket.__new__", "socket.gethostname")
def hook(event, args):
    if event.startswith("socket.") and event not in harmless: calls.append((event, args))
def loaded(*names): return sorted(set(names) & set(sys.modules))
sys.addaudithook(hook)
start = time.perf_counter()
import mot_nb
spent = time.perf_counter() - start
heavy = loaded("torch", "transformers", "numpy", "pandas", "datasets", "matplotlib", "IPython")
assert not heavy, f"import mot_nb loads {heavy}"
assert spent < 0.5, f"import mot_nb took {spent:.2f} s"
for name in sys.argv[1:]: importlib.import_module("mot_nb." + name)
heavy = loaded("transformers", "datasets", "math_verify", "peft", "matplotlib", "ipywidgets", "accelerate", "vllm",
               "lm_eval", "papermill", "nbconvert")
assert not heavy, f"importing every module loads {heavy}"
assert not calls, calls
'''


def run(*words, **kw):
    "What a command prints; the test fails with its output where it does."
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **kw)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def run_python(code, *args, python=sys.executable, **kw):
    "Runs code in a fresh interpreter outside the checkout, which cannot stand in for what is installed."
    if python != sys.executable: kw['env'] = {k: v for k, v in os.environ.items() if not k.startswith('PYTHON')}
    return run(python, '-c', textwrap.dedent(code), *args, **kw)


def test_imports_are_quiet(tmp_path):
    "No socket and nothing heavy at import: every exported module, in a fresh interpreter."
    run_python(QUIET, *[house.dotted(p) for p in house.modules()], cwd=tmp_path)


BLOCK = '''
"Stands in for an environment without the development tools."
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ("nbdev", "fastcore", "execnb", "ghapi", "fastgit"): return None
        raise ModuleNotFoundError(f"No module named {name!r} (blocked by this test)", name=name)
sys.meta_path.insert(0, Blocked())
'''
INSTALLED = '''
import importlib, sys
import mot_nb
assert mot_nb.__file__.startswith(sys.argv[1]), mot_nb.__file__
for m in sys.argv[2:]: importlib.import_module('mot_nb.' + m)
assert not {'nbdev', 'fastcore'} & set(sys.modules)
from mot_nb.core.files import data_folder
from mot_nb.core.records import read_recorded, recorded
from mot_nb.core.settings import profile_settings
files = [p for p in data_folder().rglob('*') if p.is_file()]
assert str(data_folder()).startswith(sys.argv[1]), data_folder()
assert profile_settings('smoke', 'toy').name and read_recorded(recorded('runs/toy'), 'run')
print(len(files))
'''
PURELIB = 'import sysconfig; print(sysconfig.get_path("purelib"))'


def new_environment(folder, wheel):
    "The Python of a new environment with the wheel and the run-time packages, but not the development tools."
    run(sys.executable, '-m', 'venv', '--without-pip', folder)
    python = folder/'bin'/'python'
    site = Path(run_python(PURELIB, python=python, cwd=folder).strip())
    run(sys.executable, '-m', 'pip', '-q', '--python', python, 'install', '--no-deps', '--no-index', wheel)
    (site/'no_nbdev.py').write_text(BLOCK)
    (site/'a_no_nbdev.pth').write_text('import no_nbdev\n')
    # its own .pth files, the editable install among them, are not read from here
    (site/'b_packages.pth').write_text(run_python(PURELIB, cwd=folder))
    return python


def test_wheel_installs_and_imports_without_nbdev(tmp_path):
    "A wheel built from the project's files, in a new environment that lacks the development tools."
    copy, venv = house.copy_tree(tmp_path/'copy'), tmp_path/'venv'
    run(sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', tmp_path/'dist', copy)
    wheel, = (tmp_path/'dist').glob('*.whl')
    python = new_environment(venv, wheel)
    names = [house.dotted(p) for p in house.modules()]
    out = run_python(INSTALLED, venv, *names, python=python, cwd=tmp_path)
    shipped = [n for n in house.tracked() if n.startswith('data/') and not Path(n).name.startswith('.')]
    assert int(out) >= len(shipped) > 0, (out, len(shipped))
    assert 'doctor' in run(venv/'bin'/'mot', '--help', cwd=tmp_path)
    cells = json.loads((house.ROOT/'nbs/paper/62_fakes.ipynb').read_text(encoding='utf-8'))['cells']
    code = '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'code')       # a page, as Colab has it
    assert 'wins by 17' in run_python(code + '\nprint(answer_fakes(rows))', python=python, cwd=tmp_path)


PLANTED = {'long cell': 'nbs/core/99_planted.ipynb: long', 'two definitions': 'one, two', 'long line': 'wide = "',
           'two statements': 'a = 1; b = 2', 'long prose': 'word word', 'home-made word': '99_big.ipynb: told apart',
           'private import': 'mot_nb.core.files._full',
           'name twice': 'write_atomic: core.files, core.planted', 'ruff': 'F401: tests/test_planted.py: import os',
           'gone, remove its line': 'long cell: nbs/core/none.ipynb: f'}
BREACHES = '''
from mot_nb.student.merge import x
import pickle
def bare(x): return AutoModel.from_pretrained(x, trust_remote_code=True)
'''
FOUND = [('import_order', 'core.files imports student.merge'), ('unsafe_calls', 'import pickle'),
         ('import_order', '11a_planted', 'a library notebook is named NN_name'), ('unsafe_calls', 'trust_remote_code'),
         ('undocumented', 'bare has no docstring'), ('undocumented', 'bare(x) has no comment'),
         ('traces_of_machines', 'core/files.py', 'a path of one machine'), ('sizes', '99_big'),
         ('parameter_cells', '99_big', 'kernelspec'), ('readme_drift', 'differs'), ('recorded_drift', 'differs'),
         ('lock_drift', 'pins no public version'), ('widgets', '98_bare', 'cell 0: a widget without its state'),
         ('widgets', '97_state', 'the state of widgets that no output shows')]


def notebook(*cells, kernel='python3'):
    "A notebook of (cell type, source) pairs, as JSON."
    def cell(kind, source):
        own = {'execution_count': None, 'outputs': []} if kind == 'code' else {}
        return {'cell_type': kind, 'metadata': {}, 'source': [source], **own}
    metadata = {'kernelspec': {'name': kernel}} if kernel else {}
    return json.dumps({'cells': [cell(*c) for c in cells], 'metadata': metadata, 'nbformat': 4, 'nbformat_minor': 5})


def plant_widgets(copy):
    "A notebook with a widget whose state was not kept, and one with a state alone; one that has both is no breach."
    for name, shown, kept in (('98_bare', ['m'], []), ('97_state', [], ['m']), ('96_both', ['m'], ['m'])):
        nb = json.loads(notebook(('code', 'x')))
        data = [{house.VIEW: {'model_id': m}} for m in shown]
        nb['cells'][0]['outputs'] = [{'output_type': 'display_data', 'metadata': {}, 'data': d} for d in data]
        nb['metadata']['widgets'] = {house.STATE: {'state': {m: {} for m in kept}}}
        (copy/'nbs'/f'{name}.ipynb').write_text(json.dumps(nb))


def plant_numbers(copy):
    "A notebook that breaks every number of the house, and one whose number has a letter."
    lines = ['#| default_exp core.planted', '#| export\ndef long():' + '\n    x = 1'*40,
             '#| export\ndef one(): pass\ndef two(): pass', 'wide = "' + 'x'*120 + '"', 'a = 1; b = 2',
             'from mot_nb.core.files import _full']
    prose = [('markdown', '# planted'), ('markdown', 'word '*121)]
    (copy/'nbs'/'core'/'99_planted.ipynb').write_text(notebook(*prose, *(('code', s) for s in lines)))
    (copy/'nbs'/'core'/'11a_planted.ipynb').write_text(notebook(prose[0]))
    (copy/'mot_nb'/'core'/'planted.py').write_text('def write_atomic(): pass\n')
    (copy/'tests'/'test_planted.py').write_text('import os\n')
    with open(copy/'tests'/'tools'/'offenders.txt', 'a') as f: f.write('long cell: nbs/core/none.ipynb: f\n')


def test_the_rules_can_fail(tmp_path):
    "Each rule finds its own breach, planted in a copy."
    copy = house.copy_tree(tmp_path/'copy')
    module, path = copy/'mot_nb'/'core'/'files.py', '/'.join(['', 'home', 'someone', 'x'])
    module.write_text(module.read_text() + BREACHES + f'where = "{path}"\n')
    (copy/'nbs'/'99_big.ipynb').write_text(notebook(('markdown', 'not told apart ' + 'x'*1_000_001), kernel=''))
    for name in ('README.md', 'data/recorded/README.md'): (copy/name).write_text('another text')
    (copy/'requirements.lock').write_text('torch>=2\n')
    plant_numbers(copy)
    plant_widgets(copy)
    complaints = {rule: house.CHECKS[rule](copy) for rule in {*(rule for rule, *_ in FOUND), 'numbers'}}
    for rule, *words in [*FOUND, *(('numbers', *x) for x in PLANTED.items())]:
        assert any(all(w in c for w in words) for c in complaints[rule]), (rule, words, complaints[rule])
    assert not any('96_both' in c for c in complaints['widgets'])
    planted = ('99_big', '98_bare', '97_state', '96_both', 'core/99_planted', 'core/11a_planted')
    for name in planted: (copy/'nbs'/f'{name}.ipynb').unlink()
    assert any('core/files.py' in c for c in house.clean_and_export(copy))
