"""The house rules as functions, each returning a list of complaints; `tests/test_house.py` asserts the lists are empty.

    python tests/tools/house.py check [WORD ...]   print every complaint (that names one of the words)
    python tests/tools/house.py docs               write README.md and data/recorded/README.md
    python tests/tools/house.py offenders          write offenders.txt: what breaks the numbers of the house today
"""
import argparse, ast, base64, io, json, posixpath, re, subprocess, sys, tempfile, tokenize
from pathlib import Path

from house_numbers import numbers, write_offenders
from project import (NUMBER, ROOT, WINGS, cells, copy_tree, dotted, library_notebooks, modules, notebooks, tracked,
                     wing_notebooks)
from recorded_card import card, card_path

NOTEBOOK_BYTES, FIGURE_BYTES = 1_000_000, 150_000
__all__ = ['CHECKS', 'ROOT', 'STATE', 'VIEW', 'WINGS', 'copy_tree', 'dotted', 'library_notebooks', 'modules',
           'notebooks', 'tracked']


# -- drift -----------------------------------------------------------------------------------------------------------

def written_files(root):
    "{name: path} of the notebooks and modules that nbdev writes."
    return {p.relative_to(root): p for top in ('nbs', 'mot_nb') for p in (root/top).rglob('*')
            if p.suffix in ('.ipynb', '.py') and not {'.ipynb_checkpoints', '__pycache__'} & set(p.parts)}


def difference(name, mine, fresh):
    "A complaint on one file of the checkout and of the copy that nbdev has written; '' for equal ones."
    if fresh is None: return f'{name}: no notebook exports it'
    if mine is None: return f'{name}: missing; run nbdev_export'
    if mine.read_bytes() == fresh.read_bytes(): return ''
    return f'{name}: differs from what nbdev_{"clean" if name.suffix == ".ipynb" else "export"} writes'


def clean_and_export(root=ROOT):
    "Files that `nbdev_clean` and `nbdev_export` would change: run on a copy, so that the check itself changes nothing."
    with tempfile.TemporaryDirectory() as tmp:
        copy = copy_tree(Path(tmp)/'copy', root)
        for command in ('nbdev_clean', 'nbdev_export'):
            run = subprocess.run([str(Path(sys.executable).parent/command)], cwd=copy, capture_output=True, text=True)
            if run.returncode: return [f'{command} failed:\n{run.stdout}{run.stderr}']
        mine, fresh = written_files(root), written_files(copy)
        names = sorted(mine.keys() | fresh.keys())
        return list(filter(None, (difference(n, mine.get(n), fresh.get(n)) for n in names)))


# -- order of imports --------------------------------------------------------------------------------------------------

def modules_of_from(node, within, package):
    "Modules that `from X import a` may name: X and X.a."
    base = node.module or ''
    if node.level: base = '.'.join([*f'{package}.{within}'.split('.')[:-node.level], *filter(None, [base])])
    if base != package and not base.startswith(package + '.'): return []
    return [base, *(f'{base}.{a.name}' for a in node.names)]


def named_modules(tree, within='', package='mot_nb'):
    "(line, module) for every module of the package that the code of the module `within` names in an import."
    for node in ast.walk(tree):
        named = []
        if isinstance(node, ast.Import): named = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom): named = modules_of_from(node, within, package)
        elif isinstance(node, ast.Call):
            called = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            if called in ('import_module', '__import__'):
                named = [str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant)]
        yield from ((node.lineno, n[len(package) + 1:]) for n in named if n.startswith(package + '.'))


def numbers_of_notebooks(root=ROOT):
    "Library notebooks whose number is used twice or has a letter, or that export a module of another name."
    seen, complaints = set(), []
    for path in wing_notebooks(root):
        if not NUMBER.match(path.stem): complaints.append(f'{path.name}: a library notebook is named NN_name')
    for key, module, path in library_notebooks(root):
        if key in seen: complaints.append(f'{path.name}: its number is used twice')
        if module not in (f'{path.parent.name}.{path.stem[3:]}', f'__{path.stem[3:]}__'):   # app/NN_main: __main__
            complaints.append(f'{path.name}: it exports {module}, of another wing or name')
        seen.add(key)
    return complaints


def import_order(root=ROOT):
    "Imports of modules that come later, star imports of the package, and numbers of notebooks."
    order, complaints = {module: key for key, module, _ in library_notebooks(root)}, numbers_of_notebooks(root)
    for path in modules(root):
        module = dotted(path)
        if module not in order:
            complaints.append(f'{path.name}: no notebook with a number exports it')
            continue
        tree = ast.parse(path.read_text(encoding='utf-8'))
        late = [(line, used) for line, used in named_modules(tree, module)
                if used in order and order[used] >= order[module] and used != module]
        complaints += [f'{path.name}:{line}: {module} imports {used}, which comes later' for line, used in late]
        complaints += [f'{path.name}:{n.lineno}: a star import' for n in ast.walk(tree)
                       if isinstance(n, ast.ImportFrom) and any(a.name == '*' for a in n.names)]
    return complaints


# -- sizes -------------------------------------------------------------------------------------------------------------

def figure_bytes(kind, body):
    "The size of a stored figure; 0 for what is none."
    body = ''.join(body) if isinstance(body, (list, str)) else ''
    if kind == 'image/svg+xml': return len(body)
    return len(base64.b64decode(body)) if kind.startswith('image/') else 0


def sizes(root=ROOT):
    "Notebooks over 1 MB and figures over 150 KB, stored in a notebook or as a file."
    complaints, over = [], f'at most {FIGURE_BYTES}'
    for path in notebooks(root):
        size = path.stat().st_size
        if size > NOTEBOOK_BYTES: complaints.append(f'{path.name}: {size} bytes, at most {NOTEBOOK_BYTES}')
        outputs = [(i, o) for i, c in enumerate(json.loads(path.read_text(encoding='utf-8'))['cells'])
                   for o in c.get('outputs', [])]
        found = [(i, figure_bytes(*item)) for i, o in outputs for item in o.get('data', {}).items()]
        complaints += [f'{path.name}, cell {i}: a figure of {n} bytes, {over}' for i, n in found if n > FIGURE_BYTES]
    kinds = ('.png', '.jpg', '.jpeg', '.svg', '.gif', '.webp')
    pictures = [n for n in tracked(root) if Path(n).suffix.lower() in kinds]
    large = [(n, size) for n in pictures if (size := (root/n).stat().st_size) > FIGURE_BYTES]
    return complaints + [f'{n}: {size} bytes, {over}' for n, size in large]


VIEW, STATE = ('application/vnd.jupyter.widget-' + kind for kind in ('view+json', 'state+json'))


def widgets(root=ROOT):
    "Widgets stored in outputs without their state, which JupyterLab shows as an error; and state that nothing shows."
    complaints = []
    for path in notebooks(root):
        nb = json.loads(path.read_text(encoding='utf-8'))
        state = nb['metadata'].get('widgets', {}).get(STATE, {}).get('state', {})
        shown = [(i, o['data'][VIEW]['model_id']) for i, c in enumerate(nb['cells']) for o in c.get('outputs', [])
                 if VIEW in o.get('data', {})]
        complaints += [f'{path.name}, cell {i}: a widget without its state' for i, model in shown if model not in state]
        if state and not shown: complaints.append(f'{path.name}: the state of widgets that no output shows')
    return complaints


# -- what must not be written anywhere ---------------------------------------------------------------------------------

FOLDERS = 'root|home|Users|work|tmp|opt|mnt|private|var/folders'
FORBIDDEN = {'a path of one machine': re.compile(rf'(?<![\w.~:$/<{{}}-])/(?:{FOLDERS})/[\w.-]+'),
             'a host of a package registry': re.compile(
                 r'py[p]i\.(?:org|io)|files\.py[t]honhosted|download\.py[t]orch\.org|registry\.np[m]js|'
                 r'conda\.ana[c]onda|index-ur[l]\s*=?\s*https?:'),
             'a private address': re.compile(
                 r'(?<![\d.])(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?![\d.])')}


def traces_of_machines(root=ROOT):
    "Lines of the project's text files with a machine's path, a registry's host or a private address."
    complaints = []
    for name in tracked(root):
        if name == 'LICENSE' or (root/name).stat().st_size > 20_000_000: continue
        try: text = (root/name).read_text(encoding='utf-8')
        except UnicodeDecodeError: continue
        if name.endswith('.ipynb'): text = re.sub(r'"image/[\w+]+": "[^"]*"', '', text)
        found = [(what, m) for what, pattern in FORBIDDEN.items() for m in pattern.finditer(text)]
        complaints += [f'{name}:{text.count(chr(10), 0, m.start()) + 1}: {what}: {m[0]}' for what, m in found]
    return complaints


PICKLES = {'pickle', 'cPickle', 'cloudpickle', 'dill', 'joblib', 'shelve', 'marshal'}
UNSAFE = {'torch.load', 'torch.save', 'np.load', 'pd.read_pickle', 'eval', 'exec', 'os.system', 'yaml.load',
          'yaml.unsafe_load'}


def imported(node):
    "Names of the modules that an import brings in."
    if isinstance(node, ast.Import): return [a.name for a in node.names]
    return [node.module or ''] if isinstance(node, ast.ImportFrom) else []


def unsafe_call(node):
    "What is unsafe about a call, as text."
    call = ast.unparse(node.func)
    if call in UNSAFE or call.endswith('.to_pickle'): yield call
    for k in node.keywords:
        if k.arg in ('trust_remote_code', 'shell', 'allow_pickle') and getattr(k.value, 'value', True) is True:
            yield f'{k.arg}={ast.unparse(k.value)}'


def unsafe_calls(root=ROOT):
    "Pickle in any of its names, `trust_remote_code=True`, eval, exec and shells in the exported modules."
    complaints = []
    for path in modules(root):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            found = [f'import {n}' for n in imported(node) if n.split('.')[0] in PICKLES]
            if isinstance(node, ast.Call): found += unsafe_call(node)
            complaints += [f'{path.name}:{node.lineno}: {what}' for what in found]
    return complaints


# -- documentation -----------------------------------------------------------------------------------------------------

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def parameters_of(node):
    "[(argument, its default or None)] of a function."
    a = node.args
    positional = a.posonlyargs + a.args
    defaults = [None]*(len(positional) - len(a.defaults)) + a.defaults
    pairs = [*zip(positional, defaults), *zip(a.kwonlyargs, a.kw_defaults), *((x, None) for x in (a.vararg, a.kwarg))]
    return [(x, default) for x, default in pairs if x and x.arg not in ('self', 'cls')]


def uncommented(node, commented):
    "(line, name) of parameters, and of a record's fields, without a comment."
    if isinstance(node, ast.ClassDef):
        if not any(ast.unparse(d).startswith('dataclass') for d in node.decorator_list): return
        for s in node.body:
            if not isinstance(s, ast.AnnAssign) or s.target.id.startswith('_'): continue
            if {s.lineno, s.end_lineno} & commented or ast.unparse(s.annotation).endswith('Settings'): continue
            yield s.lineno, f'.{s.target.id}'
    elif not any(ast.unparse(d).endswith(('.setter', 'property')) for d in node.decorator_list):
        for arg, default in parameters_of(node):
            if not {arg.lineno, (default or arg).end_lineno} & commented: yield arg.lineno, f'({arg.arg})'


def undocumented_in(node, commented, owner=''):
    "(line, complaint) on a public function or class and on its methods."
    name = owner + node.name
    if node.name.startswith('_'): return
    if not ast.get_docstring(node): yield node.lineno, f'{name} has no docstring'
    yield from ((line, f'{name}{what} has no comment') for line, what in uncommented(node, commented))
    for s in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(s, FUNCTIONS): yield from undocumented_in(s, commented, name + '.')


def commented_lines(source):
    "Numbers of the lines that have a comment: at their end, or on a line of its own above."
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT]
    return {t.start[0] + t.line.lstrip().startswith('#') for t in tokens}


def undocumented(root=ROOT):
    "Public functions, classes and methods without a docstring; parameters and fields of records without a comment."
    complaints = []
    for path in modules(root):
        source = path.read_text(encoding='utf-8')
        commented = commented_lines(source)
        nodes = [n for n in ast.parse(source).body if isinstance(n, (*FUNCTIONS, ast.ClassDef))]
        complaints += [f'{path.name}:{line}: {what}' for n in nodes for line, what in undocumented_in(n, commented)]
    return complaints


def parameter_cells(root=ROOT):
    "Pages without exactly one cell tagged `parameters`, notebooks without a kernelspec, the first title missing."
    complaints = []
    for path in notebooks(root):
        nb, first = json.loads(path.read_text(encoding='utf-8')), (cells(path) or [('', '')])[0]
        if nb['metadata'].get('kernelspec', {}).get('name') != 'python3':
            complaints.append(f'{path.name}: no kernelspec python3, which papermill needs')
        if first[0] != 'markdown' or not first[1].startswith('# '):
            complaints.append(f'{path.name}: its first cell is no title')
        n = sum('parameters' in c['metadata'].get('tags', []) for c in nb['cells'])
        records_alone = path.parent.name == 'paper' and path.stem < '50'    # such a page has nothing to be told
        if path.parent.name in ('paper', 'reports') and n != (wanted := 0 if records_alone else 1):
            complaints.append(f'{path.name}: {n} cells tagged parameters, {wanted} needed')
    return complaints


# -- README and cards --------------------------------------------------------------------------------------------------

WRITTEN = '<!-- Written by `make docs` from nbs/index.ipynb: edit that page, not this file. -->\n\n'


def front_page(root):
    "nbs/index.ipynb without hidden cells and progress; leaves where it shows a figure, which a README cannot carry."
    import nbformat
    nb = nbformat.read(root/'nbs'/'index.ipynb', 4)
    nb.cells = [c for c in nb.cells if not re.match(r'#\|\s*hide', c.source)]
    for c in (c for c in nb.cells if c.cell_type == 'code'):
        c.outputs = [o for o in c.outputs if o.get('name') != 'stderr']   # progress
    kinds = [k for c in nb.cells for o in c.get('outputs', []) for k in o.get('data', {})]
    if any(k.startswith('image/') for k in kinds):
        raise SystemExit('index.ipynb shows a figure as an output; save it in nbs/figures/ and show that file')
    return nb


def from_root(m):
    "A link of nbs/index.ipynb as one of README.md."
    return m[0] if re.match(r'[a-z]+:|#|/', m[2]) else m[1] + posixpath.normpath('nbs/' + m[2]) + m[3]


def readme(root=ROOT):
    "The text of README.md: nbs/index.ipynb as Markdown with its outputs, links made relative to the root."
    from nbconvert import MarkdownExporter
    from traitlets.config import Config
    priority = ['text/markdown', 'text/html', 'text/plain']
    exporter = MarkdownExporter(config=Config({'NbConvertBase': {'display_data_priority': priority}}))
    body, _ = exporter.from_notebook_node(front_page(root))
    body = re.sub(r'<style scoped>.*?</style>\n*', '', body, flags=re.S)
    # code whose input is not for a README: the directive `#| echo: false` as its first line
    body = re.sub(r'```(?:python)?\n#\|\s*echo:\s*false.*?```\n', '', body, flags=re.S)
    for link in (r'(\]\()([^)\s]+)(\))', r'(src=")([^"]+)(")'): body = re.sub(link, from_root, body)
    return WRITTEN + re.sub(r'\n{3,}', '\n\n', body).strip() + '\n'


def readme_drift(root=ROOT):
    "README.md where it is not what `make docs` writes, and links in it that lead nowhere."
    path = root/'README.md'
    if not path.exists(): return ['README.md: missing; run make docs']
    text = path.read_text(encoding='utf-8')
    complaints = [] if text == readme(root) else ['README.md: differs from nbs/index.ipynb; run make docs']
    for target in re.findall(r'\]\(([^)\s]+)\)', text) + re.findall(r'src="([^"]+)"', text):
        if re.match(r'[a-z]+:|#', target) or (root/target.split('#')[0]).exists(): continue
        complaints.append(f'README.md: {target} does not exist')
    return complaints


def recorded_drift(root=ROOT):
    "The card of the recorded files where it is not what `make docs` writes."
    path = card_path(root)
    if path.exists() and path.read_text(encoding='utf-8') == card(root): return []
    return [f'{path.relative_to(root)}: differs from the files it lists; run make docs']


# -- lock files --------------------------------------------------------------------------------------------------------

def pins(root):
    "({package: version}, complaints) of the lock files."
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    pinned, complaints = {}, []
    for file in ('requirements.lock', 'requirements-nodeps.lock'):
        for line in (root/file).read_text(encoding='utf-8').splitlines():
            if not line.strip() or line.startswith('#'): continue
            r = Requirement(line)
            exact = [s for s in r.specifier if s.operator == '==' and '*' not in s.version]
            if len(exact) != 1 or '+' in exact[0].version: complaints.append(f'{file}: {line} pins no public version')
            else: pinned[canonicalize_name(r.name)] = exact[0].version
    return pinned, complaints


def lock_drift(root=ROOT):
    "Requirements of settings.ini that the lock files do not meet, and lines of them that pin nothing."
    from configparser import ConfigParser
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    cfg = ConfigParser(interpolation=None)
    cfg.read(root/'settings.ini', encoding='utf-8')
    pinned, complaints = pins(root)
    for line in (cfg['DEFAULT']['requirements'] + ' ' + cfg['DEFAULT']['dev_requirements']).split():
        r = Requirement(line)
        have = pinned.get(canonicalize_name(r.name))
        if have is None: complaints.append(f'settings.ini: {line} is not in a lock file')
        elif not r.specifier.contains(have, prereleases=True):
            complaints.append(f'settings.ini: {line}, but the lock has {have}')
    return complaints


CHECKS = dict(clean_and_export=clean_and_export, import_order=import_order, sizes=sizes,
              traces_of_machines=traces_of_machines, unsafe_calls=unsafe_calls, undocumented=undocumented,
              parameter_cells=parameter_cells, widgets=widgets, readme_drift=readme_drift,
              recorded_drift=recorded_drift, lock_drift=lock_drift, numbers=numbers)


def write_docs():
    "Writes the two generated pages."
    for path, text in ((ROOT/'README.md', readme()), (card_path(), card())):
        path.write_text(text, encoding='utf-8')
        print(f'wrote {path.relative_to(ROOT)}')
    return 0


def main():
    "The command line; the exit code."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('command', choices=['check', 'docs', 'offenders'])
    p.add_argument('words', nargs='*')
    a = p.parse_args()
    if a.command == 'docs': return write_docs()
    if a.command == 'offenders': return print(dict(write_offenders()))
    complaints = [f'{name}: {c}' for name, check in CHECKS.items() for c in check()]
    complaints = [c for c in complaints if not a.words or any(w in c for w in a.words)]
    print('\n'.join(complaints) or 'nothing to complain about')
    return 1 if complaints else 0


if __name__ == '__main__': sys.exit(main())
