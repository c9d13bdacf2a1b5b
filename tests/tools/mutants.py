"""Small faults put into the library one at a time: is each noticed by a test or a notebook?

    python tests/tools/mutants.py [--only AREA ...] [--jobs N] [--results FILE] [--again] [--record]

Each mutant of mutant_list.py is put into a copy of the checkout, into the module and the notebook it comes from, and
the few tests named beside it are run there, then the whole files they stand in. What is caught goes into the results
file, from which a later call goes on (--again: survivors are tried once more). The score by area is printed; --record,
after a run over all areas, writes data/recorded/checks/mutants.jsonl. A test that fails without any mutant is an error.
"""
import argparse, ast, contextlib, functools, importlib, json, os, queue, re, shutil, signal, subprocess, sys
import tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from mutant_list import MUTANTS
from project import ROOT, cells, copy_tree, library_notebooks

PRELOADED = ('torch', 'pandas', 'matplotlib.pyplot', 'scipy.stats', 'peft', 'pytest', 'nbdev.showdoc',
             'IPython.core.interactiveshell', 'transformers.generation.utils',
             'transformers.models.qwen3.modeling_qwen3', 'transformers.models.auto.modeling_auto',
             'transformers.models.auto.tokenization_auto')   # what takes long, and is no part of the library
PATIENCE = 300    # seconds a test may take: a mutant that hangs is noticed too
EXPORTED = re.compile(r'#\|\s*exporti?\b')
RECORD = ROOT/'data'/'recorded'/'checks'/'mutants.jsonl'
COMMAND = 'python tests/tools/mutants.py --record'


# -- a mutant in the files ---------------------------------------------------------------------------------------------

def module_path(m, root=ROOT): # a `Mutant`
    "The module it changes."
    return root.joinpath('mot_nb', *m.module.split('.')).with_suffix('.py')


@functools.cache
def exporting(root):
    "module -> the notebook that exports it."
    return {module: path for _, module, path in library_notebooks(root)}


def notebook_path(m, root=ROOT):
    "The notebook that exports this module."
    return exporting(root)[m.module]


def exported(nb): # as JSON
    "The cells that go into the module."
    return [c for c in nb['cells'] if c['cell_type'] == 'code' and EXPORTED.match(''.join(c['source']))]


def mutated_module(m, text):
    "The module's text with the mutant; raises where its old text does not stand there once."
    if (n := text.count(m.old)) != 1: raise ValueError(f'{m}: its old text stands {n} times in {m.module}')
    return text.replace(m.old, m.new)


def mutated_notebook(m, text):
    "The notebook's text with the mutant in the exported cell it belongs to; raises likewise."
    nb = json.loads(text)
    found = [c for c in exported(nb) if m.old in ''.join(c['source'])]
    n = sum(''.join(c['source']).count(m.old) for c in found)
    if n != 1: raise ValueError(f'{m}: its old text stands {n} times in the notebook of {m.module}')
    found[0]['source'] = ''.join(found[0]['source']).replace(m.old, m.new)
    return json.dumps(nb, ensure_ascii=False, indent=1)


def mutated(m, root=ROOT):
    "path -> text of the two files with the mutant."
    pairs = (module_path(m, root), mutated_module), (notebook_path(m, root), mutated_notebook)
    return {path: change(m, path.read_text(encoding='utf-8')) for path, change in pairs}


def is_there(test, root=ROOT): # 'student/04_loss', 'test_loss.py' or 'test_loss.py::test_a_batch'
    "Whether a named notebook or test exists."
    file, _, name = test.partition('::')
    if not file.endswith('.py'): return (root/'nbs'/f'{file}.ipynb').is_file()
    path = root/'tests'/file
    return path.is_file() and (not name or f'def {name.partition("[")[0]}(' in path.read_text(encoding='utf-8'))


@functools.cache
def dumped(path):
    "The syntax of a module, comments left out."
    return ast.dump(ast.parse(path.read_text(encoding='utf-8')))


def misfit(m, root=ROOT):
    "What is wrong with one entry of the list, as text; None: nothing."
    if missing := [t for t in m.tests if not is_there(t, root)]: return f'{m}: there is no {", ".join(missing)}'
    try: text = next(iter(mutated(m, root).values()))
    except KeyError: return f'{m}: no notebook exports {m.module}'
    except (ValueError, OSError) as e: return str(e)
    try: same = ast.dump(ast.parse(text)) == dumped(module_path(m, root))
    except SyntaxError as e: return f'{m}: no Python ({e})'
    return f'{m}: the code stays the same' if same else None


def misfits(mutants=MUTANTS, root=ROOT):
    "What is wrong with the list, a line each."
    names = [str(m) for m in mutants]
    twice = [f'{n}: stands there twice' for n in dict.fromkeys(names) if names.count(n) > 1]
    return twice + [wrong for m in mutants if (wrong := misfit(m, root))]


# -- a process that runs tests: it has what takes long to import, and forks for every test -----------------------------

def serve():
    "Reads [test, log, seconds] a line, runs it in a fork, answers with its exit code; None: it took too long."
    for name in PRELOADED: importlib.import_module(name)
    if 'mot_nb' in sys.modules: raise SystemExit('mot_nb was imported before the mutant')
    for line in sys.stdin:
        test, log, seconds = json.loads(line)
        if not (pid := os.fork()): in_child(test, log)
        print(json.dumps(waited(pid, seconds)), flush=True)


def waited(pid, seconds):
    "The exit code of a child and its group's end."
    end, code = time.monotonic() + seconds, None
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(.02)
    with contextlib.suppress(ProcessLookupError, PermissionError): os.killpg(pid, signal.SIGKILL)
    if code is None: os.waitpid(pid, 0)
    return code


def in_child(test, log):
    "Runs one test and ends."
    code = 70
    try:
        os.setsid()
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for to in (1, 2): os.dup2(fd, to)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = run_tests(test) if test.partition('::')[0].endswith('.py') else run_notebook(ROOT/'nbs'/f'{test}.ipynb')
    finally:
        sys.stdout.flush()
        os._exit(int(code))


def run_tests(tests):
    "The exit code of pytest."
    import pytest
    os.chdir(ROOT)
    if '::' in tests: os.environ['LONG'] = '1'        # those that are named are run, however long they take
    words = ['-x', '-q', '-p', 'no:cacheprovider', '-rf', '--tb=line']
    return pytest.main([*words, *(f'tests/{t}' for t in tests.split())])


def run_notebook(path):
    "0, or 1 where a cell raises; its number is printed."
    from IPython.core.interactiveshell import InteractiveShell
    os.chdir(path.parent)
    sys.path.insert(0, '')
    shell = InteractiveShell.instance()
    sys.modules['__main__'] = shell.user_module
    for i, (kind, source) in enumerate(cells(path)):
        if kind == 'code' and not shell.run_cell(source).success:
            print(f'FAILED cell {i}')
            return 1
    return 0


# -- a copy of the checkout to work in ---------------------------------------------------------------------------------

class Bench:
    "A copy of the checkout with a cache of its own, and the process that runs tests in it."
    def __init__(self, folder): # empty
        self.folder, self.log = Path(folder), Path(folder)/'log'
        self.root = copy_tree(self.folder/'checkout')
        quiet = dict(stdout=subprocess.DEVNULL, check=True)
        # a mutant of the same length in the same second must not run from the bytecode before it
        subprocess.run([sys.executable, '-m', 'compileall', '-q', '--invalidation-mode', 'checked-hash',
                        str(self.root/'mot_nb')], **quiet)
        self.process = self._server()

    def _server(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith('MOT_')}
        env |= dict(PYTHONPATH=str(self.root), MOT_CACHE=str(self.folder/'cache'), PYTHONDONTWRITEBYTECODE='1',
                    OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', HF_HUB_OFFLINE='1', MPLBACKEND='agg',
                    TOKENIZERS_PARALLELISM='false', TORCH_CPP_LOG_LEVEL='ERROR')
        words = [sys.executable, str(self.root/'tests'/'tools'/'mutants.py'), 'serve']
        return subprocess.Popen(words, env=env, cwd=self.root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)

    def run(self, test): # see `is_there`; several of one file with blanks between them
        "What failed in it, as text; '' where it passed."
        self.process.stdin.write(json.dumps([test, str(self.log), PATIENCE]) + '\n')
        self.process.stdin.flush()
        code = json.loads(self.process.stdout.readline())
        said = self.log.read_text(encoding='utf-8', errors='replace')
        if code == 0 and ('.py' not in test or re.search(r'\d+ passed', said)): return ''
        if code is None: return f'{test}: took more than {PATIENCE} s'
        if code in (0, 4, 5): raise SystemExit(f'{test}: no such test, or none of it ran\n{said[-2000:]}')
        failed = re.findall(r'^(?:FAILED|ERROR) (?:tests/)?(\S+(?: \d+$)?)', said, re.M)
        return f'{test}, {failed[-1]}' if failed and '.py' not in test else failed[-1] if failed else test

    @contextlib.contextmanager
    def holding(self, m): # a `Mutant`
        "The copy with the mutant in it, for a while; the cache is empty before and after."
        before = {path: path.read_bytes() for path in mutated(m, self.root)}
        for path, text in mutated(m, self.root).items(): path.write_text(text, encoding='utf-8')
        try: yield
        finally:
            for path, data in before.items(): path.write_bytes(data)
            shutil.rmtree(self.folder/'cache', ignore_errors=True)

    def close(self):
        "Ends the process."
        self.process.stdin.close()
        self.process.wait()


# -- the run -----------------------------------------------------------------------------------------------------------

def second_try(m):
    "Whole files of the named tests, and the module's own notebook."
    path = notebook_path(m)
    files = [t.partition('::')[0] for t in m.tests if '::' in t]
    return [t for t in dict.fromkeys([*files, f'{path.parent.name}/{path.stem}']) if t not in m.tests]


LOCK = threading.Lock()     # a test's run without mutants is made once, whoever asks first


def passing(bench, test):
    "test -> what fails in it without any mutant: of this one and of all that the list names in its file, run together."
    file = test.partition('::')[0]
    named = dict.fromkeys(t for m in MUTANTS for t in m.tests if '::' in t and t.partition('::')[0] == file)
    if test not in named or bench.run(' '.join(named)): return {test: bench.run(test)}
    return dict.fromkeys(named, '')


def tried(bench, m, sound): # a `Mutant`; test -> whether it passes without one, filled here
    "The row of a mutant: whether it is caught, by what, after how many seconds."
    start, by = time.time(), ''
    for test in (*m.tests, *second_try(m)):
        with LOCK:
            if test not in sound: sound.update(passing(bench, test))
        if sound[test]: continue
        with bench.holding(m): by = bench.run(test)
        if by: break
    seconds = round(time.time() - start, 1)
    return dict(zip(KEY, key(m))) | {'caught': bool(by), 'by': by, 'seconds': seconds}


KEY = 'area', 'name', 'module', 'old', 'new'


def key(row): # a row, or a `Mutant`
    "What makes a mutant the same as one of an earlier call."
    of = row if isinstance(row, dict) else vars(row)
    return tuple(of[k] for k in KEY)


def read_results(path):
    "key -> row of a results file."
    lines = path.read_text(encoding='utf-8').splitlines() if path.exists() else []
    return {key(row): row for row in map(json.loads, lines)}


def carried_out(mutants, results, jobs, again):
    "(key -> row of all in the results file, after what it lacked was run; tests that fail without any mutant)."
    done = read_results(results)
    todo = [m for m in mutants if key(m) not in done or (again and not done[key(m)]['caught'])]
    with tempfile.TemporaryDirectory(prefix='mutants-') as tmp, ThreadPoolExecutor(jobs) as pool:
        free, benches, sound = queue.Queue(), [], {}
        for i in range(min(jobs, len(todo))):
            benches.append(Bench(Path(tmp)/str(i)))
            free.put(benches[-1])
        def one(m):
            bench = free.get()
            try: return tried(bench, m, sound)
            finally: free.put(bench)
        for row in (done.result() for done in as_completed([pool.submit(one, m) for m in todo])):
            with open(results, 'a', encoding='utf-8') as f: f.write(json.dumps(row) + '\n')
            print(f"{row['area']}, {row['name']}: {row['by'] or 'SURVIVED'} ({row['seconds']} s)", flush=True)
        for b in benches: b.close()
    return read_results(results), [f'{t} fails without any mutant: {why}' for t, why in sound.items() if why]


def table(rows, reasons):
    "The score by area, and every survivor with the reason it is let live."
    areas, lines = dict.fromkeys(r['area'] for r in rows), []
    for area in areas:
        of = [r for r in rows if r['area'] == area]
        lines.append(f"{area:28} {sum(r['caught'] for r in of):3} of {len(of):3}")
    caught = sum(r['caught'] for r in rows)
    lines.append(f"{'all':28} {caught:3} of {len(rows):3}, {100*caught/max(1, len(rows)):.1f} %")
    return '\n'.join([*lines, *(f"survived: {r['area']}, {r['name']}: {reasons.get(key(r)) or 'no reason is given'}"
                                for r in rows if not r['caught'])])


def record(rows):
    "Writes the recorded file; returns its path."
    from mot_nb.core.machine import environment
    from mot_nb.core.records import write_recorded
    from pages import commit
    return write_recorded(RECORD, 'mutants', rows, commit(), COMMAND, environment())


def main():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', nargs='+', metavar='AREA', help='areas; none: all')
    p.add_argument('--jobs', type=int, default=1, help='copies of the checkout worked in at once')
    p.add_argument('--results', type=Path, default=Path(tempfile.gettempdir())/'mutants.jsonl')
    p.add_argument('--again', action='store_true', help='survivors are tried once more')
    p.add_argument('--record', action='store_true', help='write the recorded file')
    a = p.parse_args()
    if wrong := misfits(): raise SystemExit('\n'.join(wrong))
    mutants = [m for m in MUTANTS if not a.only or m.area in a.only]
    found, broken = carried_out(mutants, a.results, a.jobs, a.again)
    rows = [{**found[key(m)], 'reason': m.reason} for m in mutants]
    print(table(rows, {key(m): m.reason for m in mutants}))
    if broken: raise SystemExit('\n'.join(broken))
    if a.record and not a.only: print(record(rows))


if __name__ == '__main__': serve() if sys.argv[1:] == ['serve'] else main()
