"""The numbers of the house: cells, lines, statements, prose and names that break them, each as one line of text.

What breaks a number today is listed in offenders.txt, which only shrinks: a new offender is a complaint, and so is one
that is listed and gone. A line names rule, file and first words, so that it stays the same while code around it moves.
"""
import ast, io, json, re, statistics, subprocess, sys, tokenize
from collections import Counter
from pathlib import Path

from project import ROOT, cells, dotted, library_notebooks, modules, notebooks

LONGEST_CELL, MEDIAN_CELL, COLUMNS, WORDS = 40, 12, 120, 120
LISTED = 'tests/tools/offenders.txt'
DIRECTIVE = re.compile(r'#\|')
EXPORTED = re.compile(r'#\|\s*exporti?\b')


def exported(source):
    "Whether a cell goes into the module."
    return bool(EXPORTED.match(source))


def code_of(source):
    "The lines of a cell without its directives."
    return [line for line in source.splitlines() if not DIRECTIVE.match(line)]


def parsed(lines):
    "The syntax tree of a cell; None for one that is no Python."
    try: return ast.parse('\n'.join(lines))
    except SyntaxError: return None


def definitions(tree):
    "Names of the public functions and classes at the top of a module or cell."
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [n.name for n in tree.body if isinstance(n, kinds) and not n.name.startswith('_')] if tree else []


def first_words(text, n=60):
    "The beginning of a text in one line."
    return ' '.join(text.split())[:n]


def name_of(path, root):
    "A file's name below the root."
    return path.relative_to(root).as_posix()


def exported_cells(root=ROOT):
    "[(file, lines)] of every exported cell."
    return [(name_of(path, root), code_of(s)) for _, _, path in library_notebooks(root)
            for kind, s in cells(path) if kind == 'code' and exported(s)]


def long_cells(root=ROOT):
    "Exported cells over 40 lines."
    for file, lines in exported_cells(root):
        if len(lines) <= LONGEST_CELL: continue
        yield f'{file}: {" ".join(definitions(parsed(lines))) or first_words(lines[0])}'


def crowded_cells(root=ROOT):
    "Exported cells with more than one public definition."
    for file, lines in exported_cells(root):
        names = definitions(parsed(lines))
        if len(names) > 1: yield f'{file}: {", ".join(names)}'


def median_cell(root=ROOT):
    "The median of exported cells, where it is over 12 lines."
    lengths = [len(lines) for _, lines in exported_cells(root)]
    middle = statistics.median(lengths) if lengths else 0
    if middle > MEDIAN_CELL: yield f'{middle:g} lines over all exported cells, at most {MEDIAN_CELL}'


def scripts(root=ROOT):
    "[(file, lines)] of what is no test."
    return [(name_of(p, root), p.read_text(encoding='utf-8').splitlines())
            for p in sorted((root/'tests'/'tools').glob('*.py'))]


def library_code(root=ROOT):
    "[(file, lines)] of the code cells of library notebooks, exported or not, and of the scripts."
    return [(name_of(path, root), code_of(s)) for _, _, path in library_notebooks(root)
            for kind, s in cells(path) if kind == 'code'] + scripts(root)


def long_lines(root=ROOT):
    "Lines of code over 120 columns."
    for file, lines in library_code(root):
        yield from (f'{file}: {first_words(line)}' for line in lines if len(line) > COLUMNS)


def crowded_lines(root=ROOT):
    "Lines with more than one statement: after a colon there is one, and a semicolon is never needed."
    for file, lines in library_code(root):
        try: tokens = list(tokenize.generate_tokens(io.StringIO('\n'.join(lines) + '\n').readline))
        except (tokenize.TokenError, SyntaxError): continue
        at = sorted({t.start[0] for t in tokens if t.type == tokenize.OP and t.string == ';'})
        yield from (f'{file}: {first_words(lines[i - 1])}' for i in at)


def prose(source):
    "A text cell without code blocks, tables and pictures."
    text = re.sub(r'```.*?```', '', source, flags=re.S)
    return ' '.join(line for line in text.splitlines() if not line.lstrip().startswith(('|', '!', '<')))


def long_prose(root=ROOT):
    "Text cells over 120 words."
    for path in notebooks(root):
        for kind, source in cells(path):
            if kind == 'markdown' and len(prose(source).split()) > WORDS:
                yield f'{name_of(path, root)}: {first_words(source)}'


# what readers could not search for -> what the field says
HOME_MADE = {r'(?:told|tell) apart': 'significantly different', r'shak(?:e|en|ing)': 'perturb', 'surer': 'confident',
             'less sure': 'less confident', 'unsureness': 'uncertainty', 'manners?': 'style',
             'bowls?': 'basin, quadratic', 'hills?': 'barrier', '(?<!-)way back': 'reverse trajectory',
             'cut off': 'truncated', 'at the floor': 'floor effect', 'plain descent': 'gradient descent'}
HOME_MADE_WORD = re.compile(r'\b(?:' + '|'.join(HOME_MADE) + r')\b', re.I)


def home_words(root=ROOT):
    "Words on pages, templates and in the course for which the field has another."
    for path in notebooks(root):
        if path.parent.name not in ('paper', 'reports', 'course', 'nbs'): continue
        for _, source in cells(path):
            found = HOME_MADE_WORD.findall(source)
            yield from (f'{name_of(path, root)}: {word.lower()}' for word in found)


def imported_names(tree):
    "(module, name) of every `from mot_nb... import name`."
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or '').split('.')[0] == 'mot_nb'):
            yield from ((node.module or '', a.name) for a in node.names)


def private_imports(root=ROOT):
    "Names with an underscore that another module, notebook or test imports."
    sources = [(name_of(p, root), s) for p in notebooks(root) for kind, s in cells(p) if kind == 'code']
    sources += [(name_of(p, root), p.read_text(encoding='utf-8')) for p in sorted((root/'tests').rglob('*.py'))]
    for file, source in sources:
        tree = parsed(code_of(source))
        for module, name in imported_names(tree) if tree else ():
            if name.startswith('_') and not name.startswith('__'): yield f'{file}: {module}.{name}'


# names that several modules have on purpose
SHARED = {'main': 'the command line of a module that `python -m` runs, as of mot itself',
          'run': 'that of the face is that of methods.runs, and shows itself',
          'read_run': 'that of the face is that of methods.runs, and shows itself'}


def names_twice(root=ROOT):
    "Public functions and classes whose name stands in several modules, but for `SHARED`."
    where = {}
    for path in modules(root):
        for name in definitions(ast.parse(path.read_text(encoding='utf-8'))):
            where.setdefault(name, []).append(dotted(path))
    yield from (f'{name}: {", ".join(found)}' for name, found in sorted(where.items())
                if len(found) > 1 and name not in SHARED)


def ruff(root=ROOT):
    "What ruff says of the package and the tests; the rules are in pyproject.toml."
    words = [str(Path(sys.executable).parent/'ruff'), 'check', '--no-cache', '--output-format', 'json']
    done = subprocess.run([*words, 'mot_nb', 'tests'], cwd=root, capture_output=True, text=True)
    if done.returncode not in (0, 1): yield f'failed: {first_words(done.stderr)}'
    for found in json.loads(done.stdout or '[]'):
        path, row = Path(found['filename']), found['location']['row']
        line = path.read_text(encoding='utf-8').splitlines()[row - 1]
        yield f"{found['code']}: {name_of(path, root)}: {first_words(line)}"


RULES = {'long cell': long_cells, 'two definitions': crowded_cells, 'median': median_cell, 'long line': long_lines,
         'two statements': crowded_lines, 'long prose': long_prose, 'home-made word': home_words,
         'private import': private_imports, 'name twice': names_twice, 'ruff': ruff}


def offenders(root=ROOT):
    "Every offender, sorted by rule and file; one that stands n times is there n times."
    return [f'{rule}: {found}' for rule, find in RULES.items() for found in sorted(find(root))]


def listed(root=ROOT):
    "The offenders that are known."
    path = root/LISTED
    return path.read_text(encoding='utf-8').splitlines() if path.exists() else []


def numbers(root=ROOT):
    "New offenders, and listed ones that are gone."
    now, known = Counter(offenders(root)), Counter(listed(root))
    return [f'{x}' for x in sorted((now - known).elements())] + \
           [f'{LISTED}: gone, remove its line: {x}' for x in sorted((known - now).elements())]


def write_offenders(root=ROOT):
    "Writes the list as it is now; returns how many there are of each rule."
    now = offenders(root)
    (root/LISTED).write_text(''.join(f'{x}\n' for x in now), encoding='utf-8')
    return Counter(x.split(':')[0] for x in now)
