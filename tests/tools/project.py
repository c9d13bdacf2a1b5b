"The project's files: what is tracked, the notebooks and modules in order of dependence, and a copy of it all."
import json, re, shutil, subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# in order of dependence
WINGS = ('core', 'data', 'student', 'answers', 'scale', 'methods', 'analysis', 'views', 'app')
NUMBER = re.compile(r'^(\d\d)_[a-z]\w*$')
EXPORTED_TO = re.compile(r'^#\|\s*default_exp\s+(\S+)', re.M)
SKIPPED = {'.venv', '__pycache__', 'build', 'dist', '.pytest_cache', 'reports', '.ipynb_checkpoints'}


def tracked(root=ROOT): # a checkout
    "Its files, sorted: what git tracks, and what it would track next; without git, all but set-up and caches."
    if (root/'.git').exists():
        words = ['git', '-C', str(root), 'ls-files', '-co', '--exclude-standard', '-z']
        out = subprocess.run(words, capture_output=True, check=True).stdout
        names = [n for n in out.decode().split('\0') if n]
    else:
        names = [str(p.relative_to(root)) for p in root.rglob('*')
                 if p.is_file() and not SKIPPED & set(p.relative_to(root).parts)]
    return sorted(n for n in names if (root/n).is_file())


def copy_tree(to, root=ROOT):
    "Copies the project's files into the folder `to`; returns it."
    for name in tracked(root):
        (to/name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root/name, to/name)
    return to


def notebooks(root=ROOT):
    "Every notebook of the project, sorted."
    return [root/n for n in tracked(root) if n.endswith('.ipynb')]


def cells(path): # a notebook
    "[(cell type, source)] of a notebook."
    return [(c['cell_type'], ''.join(c['source'])) for c in json.loads(path.read_text(encoding='utf-8'))['cells']]


def wing_notebooks(root=ROOT):
    "The notebooks in the wings, sorted by name."
    return [p for p in sorted((root/'nbs').glob('*/*.ipynb')) if p.parent.name in WINGS]


def library_notebooks(root=ROOT):
    "Notebooks that export a module, in order of dependence: ((wing, number), module such as 'core.files', path)."
    found = []
    for path in wing_notebooks(root):
        number = NUMBER.match(path.stem)
        module = EXPORTED_TO.search('\n'.join(source for kind, source in cells(path) if kind == 'code'))
        if number and module: found.append(((WINGS.index(path.parent.name), int(number[1])), module[1], path))
    return sorted(found)


def modules(root=ROOT):
    "The exported modules, as paths: those that say they were written by nbdev."
    return [p for p in sorted((root/'mot_nb').rglob('*.py')) if not p.name.startswith('_')]


def dotted(path): # of a module
    "The module's name below the package: 'core.files' for mot_nb/core/files.py."
    return '.'.join(path.with_suffix('').parts[-2:] if path.parent.name != 'mot_nb' else [path.stem])
