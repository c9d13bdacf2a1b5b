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
calls = []
sys.addaudithook(lambda event, args: calls.append((event, args)) if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname") else None)
start = time.perf_counter(); import mot_nb; spent = time.perf_counter() - start
heavy = {"torch", "transformers", "numpy", "pandas", "datasets", "matplotlib", "IPython"} & set(sys.modules)
assert not heavy, f"import mot_nb loads {sorted(heavy)}"
assert spent < 0.5, f"import mot_nb took {spent:.2f} s"
for name in sys.argv[1:]: importlib.import_module("mot_nb." + name)
heavy = {"transformers", "datasets", "math_verify", "peft", "matplotlib", "ipywidgets", "accelerate", "vllm", "lm_eval", "papermill", "nbconvert"} & set(sys.modules)
assert not heavy, f"importing every module loads {sorted(heavy)}"
assert not calls, calls
'''


def run_python(code, *args, python=sys.executable, **kw):
    "Runs code in a fresh interpreter outside the checkout; the test fails with its error output."
    if python != sys.executable: kw['env'] = {k: v for k, v in os.environ.items() if not k.startswith('PYTHON')}    # else a checkout could stand in for what is installed
    done = subprocess.run([str(python), '-c', textwrap.dedent(code), *args], capture_output=True, text=True, **kw)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_are_quiet(tmp_path):
    "No socket and nothing heavy at import: every exported module, in a fresh interpreter."
    run_python(QUIET, *[house.dotted(p) for p in house.modules()], cwd=tmp_path)


BLOCK = '''
"Stands in for an environment without the development tools."
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nbdev", "fastcore", "execnb", "ghapi", "fastgit"): raise ModuleNotFoundError(f"No module named {name!r} (blocked by this test)", name=name)
sys.meta_path.insert(0, Blocked())
'''


def test_wheel_installs_and_imports_without_nbdev(tmp_path):
    "A wheel built from the project's files, in a new environment that has the run-time packages but not the development tools."
    copy = house.copy_tree(tmp_path/'copy')
    built = subprocess.run([sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', str(tmp_path/'dist'), str(copy)], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    wheel, = (tmp_path/'dist').glob('*.whl')

    venv = tmp_path/'venv'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(venv)], check=True)
    python = venv/'bin'/'python'
    site = Path(run_python('import sysconfig; print(sysconfig.get_path("purelib"))', python=python, cwd=tmp_path).strip())
    installed = subprocess.run([sys.executable, '-m', 'pip', '-q', '--python', str(python), 'install', '--no-deps', '--no-index', str(wheel)], capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr[-2000:]
    here = run_python('import sysconfig; print(sysconfig.get_path("purelib"))', cwd=tmp_path).strip()
    (site/'no_nbdev.py').write_text(BLOCK)
    (site/'a_no_nbdev.pth').write_text('import no_nbdev\n')
    (site/'b_packages.pth').write_text(here + '\n')       # its own .pth files, the editable install among them, are not read from here

    out = run_python('''
        import importlib, pkgutil, sys
        import mot_nb
        assert mot_nb.__file__.startswith(sys.argv[1]), mot_nb.__file__
        for m in sys.argv[2:]: importlib.import_module('mot_nb.' + m)
        assert not {'nbdev', 'fastcore'} & set(sys.modules)
        from mot_nb.core.files import data_folder
        from mot_nb.core.settings import profile_settings
        files = [p for p in data_folder().rglob('*') if p.is_file()]
        assert str(data_folder()).startswith(sys.argv[1]), data_folder()
        assert profile_settings('smoke', 'toy').name
        print(len(files))
        ''', str(venv), *[house.dotted(p) for p in house.modules()], python=python, cwd=tmp_path)
    shipped = [n for n in house.tracked() if n.startswith('data/') and not Path(n).name.startswith('.')]
    assert int(out) >= len(shipped) > 0, (out, len(shipped))
    said = subprocess.run([str(venv/'bin'/'mot'), '--help'], capture_output=True, text=True, cwd=tmp_path)
    assert said.returncode == 0 and 'doctor' in said.stdout, said.stdout + said.stderr


PLANTED = {'long cell': 'nbs/core/99_planted.ipynb: long', 'two definitions': 'one, two', 'long line': 'wide = "', 'two statements': 'a = 1; b = 2',
           'long prose': 'word word', 'private import': 'mot_nb.core.files._full', 'name twice': 'write_atomic: core.files, core.planted', 'ruff': 'F401: tests/test_planted.py: import os'}


def plant_numbers(copy):
    "A notebook that breaks every number of the house, and one whose number has a letter."
    def nb(*cells): return {'cells': cells, 'metadata': {'kernelspec': {'name': 'python3'}}, 'nbformat': 4, 'nbformat_minor': 5}
    def code(*lines): return {'cell_type': 'code', 'execution_count': None, 'metadata': {}, 'outputs': [], 'source': ['\n'.join(lines)]}
    def text(s): return {'cell_type': 'markdown', 'metadata': {}, 'source': [s]}
    cells = [text('# planted'), text('word '*121), code('#| default_exp core.planted'), code('#| export', 'def long():', *['    x = 1']*40), code('#| export', 'def one(): pass', 'def two(): pass'),
             code('wide = "' + 'x'*120 + '"'), code('a = 1; b = 2'), code('from mot_nb.core.files import _full')]
    (copy/'nbs'/'core'/'99_planted.ipynb').write_text(json.dumps(nb(*cells)))
    (copy/'nbs'/'core'/'11a_planted.ipynb').write_text(json.dumps(nb(text('# planted'))))
    (copy/'mot_nb'/'core'/'planted.py').write_text('def write_atomic(): pass\n')
    (copy/'tests'/'test_planted.py').write_text('import os\n')
    with open(copy/'tests'/'tools'/'offenders.txt', 'a') as f: f.write('long cell: nbs/core/none.ipynb: f\n')


def test_the_rules_can_fail(tmp_path):
    "Each rule finds its own breach, planted in a copy."
    copy = house.copy_tree(tmp_path/'copy')
    module = copy/'mot_nb'/'core'/'files.py'
    module.write_text(module.read_text() + '\nfrom mot_nb.student.merge import x\nimport pickle\ndef bare(x): return AutoModel.from_pretrained(x, trust_remote_code=True)\n'
                      f'where = "{"/".join(["", "home", "someone", "x"])}"\n')
    (copy/'nbs'/'99_big.ipynb').write_text('{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["' + 'x'*1_000_001 + '"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    (copy/'README.md').write_text('another text')
    (copy/'data'/'recorded'/'README.md').write_text('another text')
    plant_numbers(copy)
    (copy/'requirements.lock').write_text('torch>=2\n')
    def found(rule, *words):
        complaints = house.CHECKS[rule](copy)
        assert any(all(w in c for w in words) for c in complaints), (rule, words, complaints)
    found('import_order', 'core.files imports student.merge')
    found('unsafe_calls', 'import pickle'); found('unsafe_calls', 'trust_remote_code')
    found('undocumented', 'bare has no docstring'); found('undocumented', 'bare(x) has no comment')
    found('traces_of_machines', 'core/files.py', 'a path of one machine')
    found('sizes', '99_big'); found('parameter_cells', '99_big', 'kernelspec')
    found('readme_drift', 'differs'); found('lock_drift', 'pins no public version'); found('recorded_drift', 'differs')
    for rule, words in PLANTED.items(): found('numbers', rule, words)
    found('numbers', 'gone, remove its line', 'long cell: nbs/core/none.ipynb: f')
    found('import_order', '11a_planted', 'a library notebook is named NN_name')
    (copy/'nbs'/'99_big.ipynb').unlink()
    for name in ('core/99_planted', 'core/11a_planted'): (copy/'nbs'/f'{name}.ipynb').unlink()
    found('clean_and_export', 'core/files.py')
