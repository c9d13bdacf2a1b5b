"""The house rules as functions, each returning a list of complaints; `tests/test_house.py` asserts the lists are empty.

    python tests/tools/house.py check [WORD ...]   print every complaint (that names one of the words)
    python tests/tools/house.py readme             write README.md from nbs/index.ipynb
"""
import argparse, ast, base64, io, json, os, posixpath, re, shutil, subprocess, sys, tempfile, tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK_BYTES, FIGURE_BYTES = 1_000_000, 150_000
WINGS = ('core', 'data', 'student', 'answers', 'scale', 'methods', 'analysis', 'views', 'app')     # folders of nbs/ and subpackages, in order of dependence
NUMBER = re.compile(r'^(\d\d)_\w+$')
EXPORTED_TO = re.compile(r'^#\|\s*default_exp\s+(\S+)', re.M)


def tracked(root=ROOT,      # a checkout
           ):
    "The project's files, sorted: what git tracks, and what it would track next (not ignored); without git, all but set-up and caches."
    if (root/'.git').exists():
        out = subprocess.run(['git', '-C', str(root), 'ls-files', '-co', '--exclude-standard', '-z'], capture_output=True, check=True).stdout
        names = [n for n in out.decode().split('\0') if n]
    else:
        skip = {'.venv', '__pycache__', 'build', 'dist', '.pytest_cache', 'reports', '.ipynb_checkpoints'}
        names = [str(p.relative_to(root)) for p in root.rglob('*') if p.is_file() and not skip & set(p.relative_to(root).parts)]
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


def library_notebooks(root=ROOT):
    "The notebooks that export a module, in order of dependence, as ((wing, number), module such as 'core.files', path)."
    found = []
    for path in sorted((root/'nbs').glob('*/*.ipynb')):
        number = NUMBER.match(path.stem)
        if not number or path.parent.name not in WINGS: continue
        source = '\n'.join(''.join(c['source']) for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code')
        module = EXPORTED_TO.search(source)
        if module: found.append(((WINGS.index(path.parent.name), int(number[1])), module[1], path))
    return sorted(found)


def modules(root=ROOT):
    "The exported modules, as paths: those that say they were written by nbdev."
    return [p for p in sorted((root/'mot_nb').rglob('*.py')) if not p.name.startswith('_')]


def dotted(path): # of a module
    "The module's name below the package: 'core.files' for mot_nb/core/files.py."
    return '.'.join(path.with_suffix('').parts[-2:] if path.parent.name != 'mot_nb' else [path.stem])


# -- drift ---------------------------------------------------------------------------------------------------------------------

def clean_and_export(root=ROOT):
    "Files that `nbdev_clean` and `nbdev_export` would change: run on a copy, so that the check itself changes nothing."
    with tempfile.TemporaryDirectory() as tmp:
        copy = copy_tree(Path(tmp)/'copy', root)
        for command in ('nbdev_clean', 'nbdev_export'):
            run = subprocess.run([str(Path(sys.executable).parent/command)], cwd=copy, capture_output=True, text=True)
            if run.returncode: return [f'{command} failed:\n{run.stdout}{run.stderr}']
        def state(where): return {p.relative_to(where): p for top in ('nbs', 'mot_nb') for p in (where/top).rglob('*')
                                  if p.suffix in ('.ipynb', '.py') and not {'.ipynb_checkpoints', '__pycache__'} & set(p.parts)}
        mine, fresh = state(root), state(copy)
        complaints = []
        for name in sorted(mine.keys() | fresh.keys()):
            if name not in fresh: complaints.append(f'{name}: no notebook exports it')
            elif name not in mine: complaints.append(f'{name}: missing; run nbdev_export')
            elif mine[name].read_bytes() != fresh[name].read_bytes():
                complaints.append(f'{name}: differs from what nbdev_{"clean" if name.suffix == ".ipynb" else "export"} writes')
        return complaints


# -- order of imports ------------------------------------------------------------------------------------------------------------

def named_modules(tree, within='', package='mot_nb'):
    "(line, module) for every module of the package that the code of the module `within` names in an import, wherever it stands; of `from X import a` both X and X.a."
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                if a.name.startswith(package + '.'): yield node.lineno, a.name[len(package) + 1:]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level: base = '.'.join([*f'{package}.{within}'.split('.')[:-node.level], *filter(None, [base])])
            if base.startswith(package + '.'): yield node.lineno, base[len(package) + 1:]
            if base == package or base.startswith(package + '.'): yield from ((node.lineno, f'{base}.{a.name}'[len(package) + 1:]) for a in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, 'attr', getattr(node.func, 'id', '')) in ('import_module', '__import__'):
            for a in node.args[:1]:
                if isinstance(a, ast.Constant) and str(a.value).startswith(package + '.'): yield node.lineno, a.value[len(package) + 1:]


def import_order(root=ROOT):
    "Exported imports that name a module of a later wing, or of the same wing with the same or a larger number, star imports of the package, numbers used twice."
    order, complaints = {}, []
    for key, module, path in library_notebooks(root):
        if key in order.values(): complaints.append(f'{path.name}: its number is used twice')
        if module != f'{path.parent.name}.{path.stem[3:]}': complaints.append(f'{path.name}: it exports {module}, of another wing or name')
        order[module] = key
    for path in modules(root):
        module = dotted(path)
        if module not in order: complaints.append(f'{path.name}: no notebook with a number exports it'); continue
        tree = ast.parse(path.read_text(encoding='utf-8'))
        for line, used in named_modules(tree, module):
            if used in order and order[used] >= order[module] and used != module:
                complaints.append(f'{path.name}:{line}: {module} imports {used}, which comes later')
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and any(a.name == '*' for a in node.names): complaints.append(f'{path.name}:{node.lineno}: a star import')
    return complaints


# -- sizes -----------------------------------------------------------------------------------------------------------------------

def sizes(root=ROOT):
    "Notebooks over 1 MB and figures over 150 KB, stored in a notebook or as a file."
    complaints = []
    for path in notebooks(root):
        if path.stat().st_size > NOTEBOOK_BYTES: complaints.append(f'{path.name}: {path.stat().st_size} bytes, at most {NOTEBOOK_BYTES}')
        for i, cell in enumerate(json.loads(path.read_text(encoding='utf-8'))['cells']):
            for output in cell.get('outputs', []):
                for kind, body in output.get('data', {}).items():
                    body = ''.join(body) if isinstance(body, (list, str)) else ''
                    n = len(base64.b64decode(body)) if kind.startswith('image/') and kind != 'image/svg+xml' else len(body) if kind == 'image/svg+xml' else 0
                    if n > FIGURE_BYTES: complaints.append(f'{path.name}, cell {i}: a figure of {n} bytes, at most {FIGURE_BYTES}')
    for name in tracked(root):
        if Path(name).suffix.lower() in ('.png', '.jpg', '.jpeg', '.svg', '.gif', '.webp') and (root/name).stat().st_size > FIGURE_BYTES:
            complaints.append(f'{name}: {(root/name).stat().st_size} bytes, at most {FIGURE_BYTES}')
    return complaints


# -- what must not be written anywhere ---------------------------------------------------------------------------------------------

FORBIDDEN = {'a path of one machine': re.compile(r'(?<![\w.~:$/<{}-])/(?:root|home|Users|work|tmp|opt|mnt|private|var/folders)/[\w.-]+'),
             'a host of a package registry': re.compile(r'py[p]i\.(?:org|io)|files\.py[t]honhosted|download\.py[t]orch\.org|registry\.np[m]js|conda\.ana[c]onda|index-ur[l]\s*=?\s*https?:'),
             'a private address': re.compile(r'(?<![\d.])(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?![\d.])')}


def traces_of_machines(root=ROOT):
    "Lines of the project's text files with a machine's path, a registry's host or a private address."
    complaints = []
    for name in tracked(root):
        if name == 'LICENSE' or (root/name).stat().st_size > 20_000_000: continue
        try: text = (root/name).read_text(encoding='utf-8')
        except UnicodeDecodeError: continue
        if name.endswith('.ipynb'): text = re.sub(r'"image/[\w+]+": "[^"]*"', '', text)
        for what, pattern in FORBIDDEN.items():
            complaints += [f'{name}:{text.count(chr(10), 0, m.start()) + 1}: {what}: {m[0]}' for m in pattern.finditer(text)]
    return complaints


def unsafe_calls(root=ROOT):
    "Pickle in any of its names, `trust_remote_code=True`, eval, exec and shells in the exported modules."
    complaints = []
    for path in modules(root):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            for n in names:
                if n.split('.')[0] in ('pickle', 'cPickle', 'cloudpickle', 'dill', 'joblib', 'shelve', 'marshal'): complaints.append(f'{path.name}:{node.lineno}: import {n}')
            if not isinstance(node, ast.Call): continue
            call = ast.unparse(node.func)
            if call in ('torch.load', 'torch.save', 'np.load', 'pd.read_pickle', 'eval', 'exec', 'os.system', 'yaml.load', 'yaml.unsafe_load') or call.endswith('.to_pickle'):
                complaints.append(f'{path.name}:{node.lineno}: {call}')
            for k in node.keywords:
                if (k.arg in ('trust_remote_code', 'shell', 'allow_pickle') and getattr(k.value, 'value', True) is True):
                    complaints.append(f'{path.name}:{node.lineno}: {k.arg}={ast.unparse(k.value)}')
    return complaints


# -- documentation -----------------------------------------------------------------------------------------------------------------

def undocumented(root=ROOT):
    "Public functions, classes and methods without a docstring; their parameters, and fields of records, without a comment on their line."
    complaints = []
    for path in modules(root):
        source = path.read_text(encoding='utf-8')
        commented = {t.start[0] for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT}
        def visit(node, owner=''):
            name = owner + node.name
            if node.name.startswith('_'): return
            if not ast.get_docstring(node): complaints.append(f'{path.name}:{node.lineno}: {name} has no docstring')
            if isinstance(node, ast.ClassDef):
                if any(ast.unparse(d).startswith('dataclass') for d in node.decorator_list):
                    complaints.extend(f'{path.name}:{s.lineno}: {name}.{s.target.id} has no comment' for s in node.body
                                      if isinstance(s, ast.AnnAssign) and s.end_lineno not in commented and not s.target.id.startswith('_')
                                      and not ast.unparse(s.annotation).endswith('Settings'))
                for s in node.body:
                    if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef)): visit(s, name + '.')
            elif not any(ast.unparse(d).endswith(('.setter', 'property')) for d in node.decorator_list):
                a = node.args
                positional = a.posonlyargs + a.args
                defaults = [None]*(len(positional) - len(a.defaults)) + a.defaults
                for arg, default in list(zip(positional, defaults)) + list(zip(a.kwonlyargs, a.kw_defaults)) + [(x, None) for x in (a.vararg, a.kwarg) if x]:
                    if arg.arg in ('self', 'cls'): continue
                    if not {arg.lineno, (default or arg).end_lineno} & commented: complaints.append(f'{path.name}:{arg.lineno}: {name}({arg.arg}) has no comment')
        for node in ast.parse(source).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): visit(node)
    return complaints


def parameter_cells(root=ROOT):
    "Pages and templates without exactly one cell tagged `parameters`, notebooks without a kernelspec, the first title missing."
    complaints = []
    for path in notebooks(root):
        nb = json.loads(path.read_text(encoding='utf-8'))
        if nb['metadata'].get('kernelspec', {}).get('name') != 'python3': complaints.append(f'{path.name}: no kernelspec python3, which papermill needs')
        first = nb['cells'][0] if nb['cells'] else {'cell_type': '', 'source': ''}
        if first['cell_type'] != 'markdown' or not ''.join(first['source']).startswith('# '): complaints.append(f'{path.name}: its first cell is no title')
        if path.parent.name in ('paper', 'reports'):
            n = sum('parameters' in c['metadata'].get('tags', []) for c in nb['cells'])
            if n != 1: complaints.append(f'{path.name}: {n} cells tagged parameters, one is needed')
    return complaints


# -- README ------------------------------------------------------------------------------------------------------------------------

def readme(root=ROOT):
    "The text of README.md: nbs/index.ipynb as Markdown with its outputs, hidden cells left out, links made relative to the root."
    import nbformat
    from nbconvert import MarkdownExporter
    from traitlets.config import Config
    nb = nbformat.read(root/'nbs'/'index.ipynb', 4)
    nb.cells = [c for c in nb.cells if not re.match(r'#\|\s*hide', c.source)]
    for cell in nb.cells:
        for output in cell.get('outputs', []):
            if any(k.startswith('image/') for k in output.get('data', {})):
                raise SystemExit('index.ipynb shows a figure as an output, which a README cannot carry; save it in nbs/figures/ and show that file')
    priority = ['text/markdown', 'text/html', 'text/plain']
    body, _ = MarkdownExporter(config=Config({'NbConvertBase': {'display_data_priority': priority}})).from_notebook_node(nb)
    body = re.sub(r'<style scoped>.*?</style>\n*', '', body, flags=re.S)
    # code whose input is not for a README: the directive `#| echo: false` as its first line
    body = re.sub(r'```(?:python)?\n#\|\s*echo:\s*false.*?```\n', '', body, flags=re.S)
    def moved(m):
        target = m[2]
        if re.match(r'[a-z]+:|#|/', target): return m[0]
        return m[1] + posixpath.normpath('nbs/' + target) + m[3]
    body = re.sub(r'(\]\()([^)\s]+)(\))', moved, body)
    body = re.sub(r'(src=")([^"]+)(")', moved, body)
    body = re.sub(r'\n{3,}', '\n\n', body).strip() + '\n'
    return '<!-- Written by `make docs` from nbs/index.ipynb: edit that page, not this file. -->\n\n' + body


def readme_drift(root=ROOT):
    "README.md where it is not what `make docs` writes, and links in it that lead nowhere."
    path = root/'README.md'
    if not path.exists(): return ['README.md: missing; run make docs']
    text = path.read_text(encoding='utf-8')
    complaints = [] if text == readme(root) else ['README.md: differs from nbs/index.ipynb; run make docs']
    for target in re.findall(r'\]\(([^)\s]+)\)', text) + re.findall(r'src="([^"]+)"', text):
        if not re.match(r'[a-z]+:|#', target) and not (root/target.split('#')[0]).exists(): complaints.append(f'README.md: {target} does not exist')
    return complaints


def lock_drift(root=ROOT):
    "Requirements of settings.ini that the lock files do not meet, and lines of them that pin nothing."
    from configparser import ConfigParser
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    cfg = ConfigParser(interpolation=None); cfg.read(root/'settings.ini', encoding='utf-8')
    pinned, complaints = {}, []
    for file in ('requirements.lock', 'requirements-nodeps.lock'):
        for line in (root/file).read_text(encoding='utf-8').splitlines():
            if not line.strip() or line.startswith('#'): continue
            r = Requirement(line)
            pins = [s for s in r.specifier if s.operator == '==' and '*' not in s.version]
            if len(pins) != 1 or '+' in pins[0].version: complaints.append(f'{file}: {line} pins no public version')
            else: pinned[canonicalize_name(r.name)] = pins[0].version
    for line in (cfg['DEFAULT']['requirements'] + ' ' + cfg['DEFAULT']['dev_requirements']).split():
        r = Requirement(line)
        have = pinned.get(canonicalize_name(r.name))
        if have is None: complaints.append(f'settings.ini: {line} is not in a lock file')
        elif not r.specifier.contains(have, prereleases=True): complaints.append(f'settings.ini: {line}, but the lock has {have}')
    return complaints


CHECKS = dict(clean_and_export=clean_and_export, import_order=import_order, sizes=sizes, traces_of_machines=traces_of_machines, unsafe_calls=unsafe_calls,
              undocumented=undocumented, parameter_cells=parameter_cells, readme_drift=readme_drift, lock_drift=lock_drift)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('command', choices=['check', 'readme']); p.add_argument('words', nargs='*')
    a = p.parse_args()
    if a.command == 'readme':
        (ROOT/'README.md').write_text(readme(), encoding='utf-8'); print('wrote README.md'); return 0
    complaints = [f'{name}: {c}' for name, check in CHECKS.items() for c in check()]
    complaints = [c for c in complaints if not a.words or any(w in c for w in a.words)]
    print('\n'.join(complaints) or 'nothing to complain about')
    return 1 if complaints else 0


if __name__ == '__main__': sys.exit(main())
