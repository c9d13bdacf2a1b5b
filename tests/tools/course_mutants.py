"""Wrong answers by the hundred: every solution of the course changed at one place, and what its check says.

    python tests/tools/course_mutants.py [FUNCTION|PAGE ...] [--every=N] [--rows=FILE]

A change is one edit of the syntax tree: a sign, an operator, a number, a comparison, two arguments, mean for sum, a
call left out. The setup of a notebook is run once; each mutant is its function and the check, nothing else. A guess has
no mutants: whatever is of the kind asked is right.
--every=N: each Nth mutant, 0: none. --rows=FILE: keeps the counts of each page, goes on where it stopped, and when all
pages are there writes data/recorded/checks/course_mutants.jsonl
"""
import ast, contextlib, copy, io, sys, time
from pathlib import Path

import course, house
from course_answers import GUESSES, MISTAKES, REWRITES

GENERAL = ('gives another value than asked', 'is right in ')     # a check that says only this has named nothing
OTHER_CALL = {'max': 'min', 'min': 'max', 'mean': 'sum', 'sum': 'mean', 'var': 'std', 'std': 'var', 'argmin': 'argmax',
              'ceil': 'floor', 'log_softmax': 'softmax', 'sqrt': 'square', 'floor': 'ceil', 'quantile': 'percentile'}
OTHER_OPERATOR = {ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
                  ast.Pow: (ast.Mult,), ast.BitAnd: (ast.BitOr,), ast.MatMult: ()}
OTHER_COMPARISON = {ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.Lt),
                    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,)}
# (function, changed line as unparsed) -> why it is no mistake
EQUIVALENT = {
    ('seen_or_not', 'return (bool(enough), float(d.mean()), bool(abs(d.mean()) >= 1.96 * d.std(ddof=1) / len(d) ** '
     '0.5))'): 'no difference is exactly an interval',
    ('seen_or_not', 'return (bool(enough), float(d.mean()), bool(abs(d.mean()) > 1.96 * d.std(ddof=2) / len(d) ** '
     '0.5))'): 'of sixty problems: one part in 118 of an interval, which no difference is that near to',
    ('seen_or_not', 'return (bool(enough), float(d.mean()), bool(abs(d.mean()) > 1.96 * d.std() / len(d) ** 0.5))'):
        'the same',
    ('seen_or_not', 'return (bool(enough), float(d.mean()), bool(abs(d.mean()) > 1.96 * d.std(ddof=0) / len(d) ** '
     '0.5))'): 'the same',
    ('seen_or_not', 'd = marks_after(steps).astype(float) - marks_after(1)'): 'one step changes no share here',
    ('seen_or_not', 'd = marks_after(steps).astype(float) - marks_after(-1)'): 'fewer than no steps are none',
    ('standard_errors', 'a, b = (np.array(b, float), np.array(a, float))'): 'the standard error has no direction',
    ('standard_errors', 'return (float(np.sqrt(a.var(ddof=1) / n + b.var(ddof=1) / n)), '
     'float((b - a).std(ddof=1) / np.sqrt(n)))'): 'the standard error has no direction',
    ('p_of_change', 'n, k = (forgotten + learnt, min(learnt, forgotten))'): 'the smaller of two has no order',
    ('p_of_change', 'return min(2 * sum((comb(n, i) for i in range(k + 1))) / 2 ** n, 1.0)'): 'the same',
    ('problems_needed', 'n = 3'): 'two problems show no share, as none is over 1',
    ('problems_needed', 'while smallest_detectable(n, sd=sd) >= gap:'): 'no difference is exactly a gap',
    ('lost', 'taken = (weights.float() + step).bfloat16() - weights.float()'): 'torch makes the sum float32 itself',
    ('lost', 'taken = (weights + step).bfloat16().float() - weights.float()'): 'torch makes the sum float32 itself',
    ('lost', 'taken = (weights.float() + step).bfloat16().float() - weights'): 'torch makes the sum float32 itself',
    ('lost', 'return float((taken - step).norm() / step.norm())'): 'a length has no direction',
    ('walk', 'd = d - eta * (g + d @ H)'): 'H is symmetric',
    ('lowest', 'x = np.linspace(2, 0, points)'): 'the same grid, from its other end',
    ('lowest', 'x = np.linspace(-1, 2, points)'): 's_E is nowhere lower below 0',
    ('smallest_E', 'while abs(fixed_point(pair, eta, E)[1]) > near:'): 'no distance is exactly near',
    ('seen_or_not', 'enough = smallest_detectable(60, sd=sd) < gap'): 'no difference is exactly a gap',
    ('bytes_held', 'return (sum((t.numel() * t.element_size() for t in held)), predicted)'): 'the two are equal',
    ('does_it_stay', 'better, other = sorted(pair, key=lambda t: -marks[t].mean())'): 'a mean orders as a sum does',
    ('rate_or_steps', "word = 'rate' if hi <= 0 else 'steps' if lo > 0 else 'undecided'"):
        'no interval ends exactly at 0',
    ('rate_or_steps', "word = 'rate' if hi < 0 else 'steps' if lo >= 0 else 'undecided'"):
        'no interval begins exactly at 0',
    ('rate_or_steps', "word = 'rate' if hi < -1 else 'steps' if lo > 0 else 'undecided'"):
        'none of the cases speaks for the rate',
    ('mot_minus', "for method in (opponent, 'mot'):"): 'students are asked for in any order',
    ('mot_minus', "return (mean, lo, hi, 'ahead' if lo > 0 else 'behind' if hi < -1 else 'undecided')"):
        'in none of the cases MoT is behind',
    ('what_it_costs', 'predicted = sum((steps * min(3, t + 1) for t in range(rounds)))'):
        'the smaller of two has no order',
    ('what_it_costs', 'return (few.work, predicted, points(few) - points(everybody))'): 'the two are equal',
    ('meet', "return ([first, last, middle], barrier, 'a barrier' if barrier >= 0 else 'no barrier')"):
        'no barrier is exactly 0',
    ('meet', "return ([first, last, middle], barrier, 'a barrier' if barrier > 1 else 'no barrier')"):
        'none of the barriers lies between 0 and 1',
    ('trust', 'inverse = 2 / np.asarray(losses, dtype=float)'): 'the factor goes with the division by the sum',
    ('trust', 'inverse = 1 / np.asarray(losses)'): 'whole numbers are divided as floats'}


def of_call(node):
    "(kind, another node) for each change of a call."
    f = node.func
    name = getattr(f, 'attr', getattr(f, 'id', ''))
    if name in OTHER_CALL:
        to = copy.deepcopy(node)
        if isinstance(f, ast.Attribute): to.func.attr = OTHER_CALL[name]
        else: to.func.id = OTHER_CALL[name]
        yield f'{OTHER_CALL[name]} for {name}', to
    if isinstance(f, ast.Attribute) and name in ('mean', 'max', 'sqrt', 'float', 'double', 'norm', 'sum', 'bfloat16'):
        of_module = isinstance(f.value, ast.Name) and f.value.id == 'np' and node.args
        yield f'{name} left out', node.args[0] if of_module else f.value
    if len(node.args) >= 2:
        to = copy.deepcopy(node)
        to.args[:2] = to.args[1::-1]
        yield 'two arguments swapped', to
    for i, k in enumerate(node.keywords):
        to = copy.deepcopy(node)
        del to.keywords[i]
        yield f'{k.arg} left out', to


def of_constant(node):
    "(kind, another node) for each change of a number or text."
    if isinstance(node.value, bool) or not isinstance(node.value, (int, float)): return
    if isinstance(node.value, int):
        yield 'one too many', ast.Constant(node.value + 1)
        yield 'one too few', ast.Constant(node.value - 1)
    elif node.value: yield 'twice the number', ast.Constant(node.value*2)


def of_operator(node):
    "(kind, another node) for each change of an arithmetic operator."
    for other in OTHER_OPERATOR.get(type(node.op), ()):
        yield f'{other.__name__} for {type(node.op).__name__}', ast.BinOp(node.left, other(), node.right)
    if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult, ast.Pow)):
        yield 'two sides swapped', ast.BinOp(node.right, node.op, node.left)
    yield 'left side alone', node.left
    yield 'right side alone', node.right


def changes(node):
    "(kind, another node) for each change of one node of a syntax tree."
    if isinstance(node, ast.Call): yield from of_call(node)
    elif isinstance(node, ast.Constant): yield from of_constant(node)
    elif isinstance(node, ast.BinOp): yield from of_operator(node)
    elif isinstance(node, ast.UnaryOp): yield f'{type(node.op).__name__} left out', node.operand
    elif isinstance(node, ast.Compare):
        for other in OTHER_COMPARISON.get(type(node.ops[0]), ()):
            yield 'another comparison', ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield 'and for or', ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.IfExp): yield 'two cases swapped', ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield 'two values swapped', ast.Tuple([*node.elts[1::-1], *node.elts[2:]], node.ctx)


class Change(ast.NodeTransformer):
    "Replaces one node, found by its number, by another."
    def __init__(self, at, to): self.at, self.to, self.n = at, to, -1
    def visit(self, node):
        self.n += 1
        return self.to if self.n == self.at else self.generic_visit(node)


class Walk(ast.NodeVisitor):
    "All nodes in the order in which `Change` counts them."
    def __init__(self): self.nodes = []
    def visit(self, node):
        self.nodes.append(node)
        self.generic_visit(node)


def mutants(cell):
    "(kind, the changed lines, source of the function) of every mutant of a solution cell."
    function = course.function_of(cell)
    right, walk, seen = ast.unparse(function), Walk(), set()
    walk.visit(function)
    inside = {id(n) for s in function.body for n in ast.walk(s)}
    for at, node in enumerate(walk.nodes):
        if id(node) not in inside: continue
        for kind, other in changes(node):
            source = ast.unparse(ast.fix_missing_locations(Change(at, other).visit(copy.deepcopy(function))))
            if source == right or source in seen: continue
            seen.add(source)
            new = [x.strip() for x in source.splitlines() if x not in right.splitlines()]
            yield kind, ' / '.join(new), source


class Page:
    "One solution notebook with its setup run: what each check says of other answers."
    def __init__(self, path, seconds=2):
        self.nb, self.names, self.seconds = course.read(path), {'__name__': '__main__'}, seconds
        self.at = 0

    def reach(self, cell):
        "Runs the cells up to this one, without the checks of later ones."
        cells = self.nb['cells']
        while cells[self.at] is not cell:
            if cells[self.at]['cell_type'] == 'code': self.exec(course.source_of(cells[self.at]))
            self.at += 1

    def exec(self, source):
        with contextlib.redirect_stdout(io.StringIO()): exec(compile(source, 'cell', 'exec'), self.names)

    def says(self, source, check, seconds=None):
        "What the check of an exercise says of an answer: '' for a right one; raw errors with their type."
        from mot_nb.app import checks
        kept = dict(self.names)
        limit = lambda k: {**k, 'seconds': seconds or max(self.seconds, k.get('seconds', 0)/6)}
        limited = lambda *a, **k: checks.check(*a, **limit(k))
        try:
            self.names['check'] = limited
            self.exec(source)
            self.exec(check)
            return ''
        except checks.NotYet as e: return str(e)
        except Exception as e: return f'raw {type(e).__name__}: {e}'
        finally:
            self.names.clear()
            self.names.update(kept)


def named(says):
    "Whether a check says more than that something is wrong."
    first = says.splitlines()[0] if says else ''
    return bool(says) and not says.startswith('raw') and not any(g in first for g in GENERAL)


def edited(cell, old, new):
    "The source of a solution cell with one mistake written into its solution."
    source = course.source_of(cell)
    m = course.SOLUTION.search(source)
    assert old in m[0], (old, m[0])
    return source[:m.start()] + m[0].replace(old, new) + source[m.end():]


def rewritten(cell, body):
    "The source of a solution cell with another body."
    source = course.source_of(cell)
    m = course.SOLUTION.search(source)
    return source[:m.start()] + body.strip('\n') + source[m.end():]


def examine(path, only=(), every=1):
    "A list of (function, kind of answer, what was changed, what the check says) of one solution notebook."
    page, out = Page(path), []
    for name, (cell, check) in course.tasks(page.nb).items():
        page.reach(cell)
        if only and name not in only: continue
        before = course.source_of(cell)[:course.SOLUTION.search(course.source_of(cell)).start()]
        blank = course.SOLUTION.sub(r'\1...', course.source_of(cell))
        out.append((name, 'solution', '', page.says(course.source_of(cell), check, 600)))
        out.append((name, 'blank', '', page.says(blank, check)))
        out += [(name, 'rewrite', body.strip(), page.says(rewritten(cell, body), check, 60)) for body in REWRITES[name]]
        out += [(name, 'mistake', m, page.says(edited(cell, *m[:2]), check)) for m in MISTAKES[name]]
        if name in GUESSES: continue
        setup = before[:before.rindex('def ' + name)]
        for i, (kind, what, source) in enumerate(mutants(cell)):
            if every and i % every == 0: out.append((name, kind, what, page.says(setup + source, check)))
    return out


KINDS = ('solution', 'blank', 'rewrite', 'mistake')


def told(rows):
    "The counts of all answers, as a dict."
    changed = [(n, k, w, s) for n, k, w, s in rows if k not in KINDS]
    missed = [(n, w) for n, _, w, s in changed if not s]
    hints = [(w[2], s) for _, k, w, s in rows if k == 'mistake']
    return {'mutants': len(changed), 'caught': sum(bool(s) for *_, s in changed),
            'equivalent': sum((n, w) in EQUIVALENT for n, w in missed), 'named': sum(named(s) for *_, s in changed),
            'mistakes': len(hints),
            'named by its hint': sum(w in s.splitlines()[0] and named(s) for w, s in hints if s),
            'rewrites': sum(k == 'rewrite' for _, k, *_ in rows),
            'accepted': sum(k == 'rewrite' and not s for _, k, _, s in rows),
            'blanks': sum(k == 'blank' for _, k, *_ in rows),
            'blanks that speak': sum(k == 'blank' and 'replace the dots' in s for _, k, _, s in rows)}


def show(name, kind, what, says):
    "Prints an answer that the check took for what it is not, or named only in general."
    first = says.splitlines()[0] if says else ''
    if kind in ('solution', 'rewrite') and says: print('REFUSED', name, kind, what, '\n   ', says)
    elif kind == 'blank' and 'replace the dots' not in says: print('BLANK', name, says)
    elif kind == 'mistake' and not (what[2] in first and named(says)): print('HINT', name, what, '->', first)
    elif kind in KINDS or (name, what) in EQUIVALENT: return
    elif not says: print('MISSED', name, kind, '|', what)
    elif not named(says): print('GENERAL', name, kind, '|', what, '->', first[:150])


def main(words):
    from mot_nb.core.files import append_line, read_lines
    from mot_nb.core.machine import environment
    from mot_nb.core.records import write_recorded
    only = [a for a in words if not a.startswith('-')]
    options = dict(a[2:].split('=', 1) for a in words if a.startswith('--'))
    file = Path(options['rows']) if 'rows' in options else None
    done = {r['page']: r for r in read_lines(file)} if file and file.exists() else {}
    for path in course.solutions():
        names, page = course.tasks(course.read(path)), path.stem[:2]
        if page in done or only and not set(only) & {*names, page}: continue
        began = time.process_time()
        wanted = () if page in only or not only else [o for o in only if o in names]
        rows = examine(path, wanted, int(options.get('every', 1)))
        for row in rows: show(*row)
        done[page] = {'page': page, 'tasks': len(names), **told(rows),
                      'cpu_seconds': round(time.process_time() - began, 1)}
        print(done[page], flush=True)
        if file: append_line(file, done[page])
    if file and len(done) == len(course.solutions()):
        from pages import commit
        write_recorded(house.ROOT/'data'/'recorded'/'checks'/'course_mutants.jsonl', 'course_mutants',
                       [done[p] for p in sorted(done)], commit=commit(), environment=environment(),
                       command='python tests/tools/course_mutants.py --rows=FILE')


if __name__ == '__main__': main(sys.argv[1:])
