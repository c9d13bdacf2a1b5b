"""The course: every solution passes its checks, every exercise says what it lacks until it is solved, both are the same
text otherwise; wrong answers are named."""
import re

import numpy as np
import pytest

import course, course_answers, course_mutants, house, house_numbers
from mot_nb.app import checks

NAMES = [p.stem.removesuffix('_solutions') for p in course.solutions()]


@pytest.mark.parametrize('page', NAMES)
def test_exercises(page, monkeypatch):
    "Both versions of one page's exercises."
    monkeypatch.chdir(course.FOLDER)
    path = course.FOLDER/'solutions'/f'{page}_solutions.ipynb'
    solved = course.read(path)
    unsolved = course.as_exercises(solved)
    found = course.exercises_of(path).read_text(encoding='utf-8')
    cure = 'python tests/tools/course.py write'
    assert course.written(unsolved) == found, f'the exercises differ from their solutions: {cure}'
    checked = [course.is_check(c) for c in solved['cells'] if c['cell_type'] == 'code']
    blanks = sum(''.join(c['source']).count('# your turn') for c in unsolved['cells'])
    assert sum(checked) >= 2 and blanks == sum(checked) and '# solution' not in course.written(unsolved)
    done = course.run(solved)
    assert not [e for _, e in done if e], [repr(e) for _, e in done if e]
    asked = [e for check, e in course.run(unsolved) if check]
    assert all(isinstance(e, checks.NotYet) for e in asked), [repr(e) for e in asked]
    assert all(str(e).splitlines()[0].endswith('returns None: replace the dots') for e in asked), list(map(str, asked))


@pytest.mark.parametrize('page', NAMES)
def test_every_exercise_helps(page):
    "A level, minutes, two folded hints, and a contract: what is given and what is returned."
    nb = course.read(course.FOLDER/'solutions'/f'{page}_solutions.ipynb')
    texts = [''.join(c['source']) for c in nb['cells'] if c['cell_type'] == 'markdown']
    tasks, hints = [t for t in texts if re.match(r'## \d', t)], [t for t in texts if '<details>' in t]
    assert len(tasks) == len(hints) == len(course.tasks(nb))
    assert all(re.search(r'^\*Level [123] of 3 · \d+ minutes\*$', t, re.M) for t in tasks)
    # a blank line on both sides, else the text within is no Markdown
    folded = re.compile(r'<details><summary>Hint [12]</summary>\n\n.+?\n\n</details>', re.S)
    assert all(len(folded.findall(h)) == 2 for h in hints)
    for name, (cell, _) in course.tasks(nb).items():
        text = course.function_of(cell).body[0].value.value
        assert '\n\n' in text, f'{name}: its docstring says not what is given'


def test_cells_are_short():
    "At most 40 lines of 120 columns, as in the library."
    for path in [*course.solutions(), *course.FOLDER.glob('*.ipynb')]:
        for cell in course.read(path)['cells']:
            if cell['cell_type'] != 'code': continue
            lines = course.source_of(cell).splitlines()
            assert len(lines) <= house_numbers.LONGEST_CELL, (path.name, len(lines), lines[0])
            assert not [x for x in lines if len(x) > house_numbers.COLUMNS], path.name


def test_every_page_has_exercises():
    """A page of the walk-through without exercises in the course, or the other way round, and a guide that leaves a
    page out."""
    # 54, 54a, ...: pages with one number share their exercises; 00 has none, and what to try on 61 stands there
    every = (p.stem.split('_')[0] for p in (house.ROOT/'nbs'/'paper').glob('*.ipynb'))
    pages = {n for n in every if '50' <= n <= '60'}
    assert set(NAMES) == {p[:2] for p in pages}
    guide = ''.join(''.join(c['source']) for c in course.read(course.FOLDER/'guide.ipynb')['cells'])
    assert not [p for p in pages if not re.search(rf'\b{p}\b', guide)]


def test_the_checks_can_fail():
    "A wrong solution is found, and a check that looks at nothing."
    def nb(*cells):
        return {'cells': [{'cell_type': 'markdown', 'metadata': {}, 'source': ['# x: solutions']}]
                + [{'cell_type': 'code', 'metadata': {'tags': tags}, 'source': [s]} for s, tags in cells]}
    right = nb(('def two():\n    # solution\n    return 2\n    # end of solution', []),
               ('assert two() == 2', ['check']))
    wrong = nb(('def two():\n    # solution\n    return 3\n    # end of solution', []),
               ('assert two() == 2', ['check']))
    assert [e for _, e in course.run(right)] == [None, None] and isinstance(course.run(wrong)[1][1], AssertionError)
    open_ = course.as_exercises(right)
    assert ''.join(open_['cells'][1]['source']) == 'def two():\n    ...  # your turn'
    assert ''.join(open_['cells'][0]['source']) == '# x: exercises'
    assert isinstance(course.run(open_)[1][1], AssertionError)


QUICK = ('50', '54', '58', '60')    # pages whose checks take seconds at most


@pytest.mark.parametrize('page', QUICK)
def test_wrong_answers_are_named(page, monkeypatch):
    "Three right rewrites pass, mistakes are named, and of the mutants every seventh is caught."
    monkeypatch.chdir(course.FOLDER)
    path = course.FOLDER/'solutions'/f'{page}_solutions.ipynb'
    rows = course_mutants.examine(path, every=7)
    assert not [(n, w, s) for n, kind, w, s in rows if kind in ('solution', 'rewrite') and s]
    said = course_mutants.told(rows)
    missed = [(n, k, w) for n, k, w, s in rows
              if k not in course_mutants.KINDS and not s and (n, w) not in course_mutants.EQUIVALENT]
    assert not missed and said['mutants'] >= 5
    silent = [(n, w, s) for n, k, w, s in rows if k == 'mistake' and (not s or w[2] not in s.splitlines()[0])]
    assert len(silent) <= .2*said['mistakes'], silent


def test_every_task_has_answers():
    "Three rewrites and at least three mistakes each."
    names = [n for p in course.solutions() for n in course.tasks(course.read(p))]
    assert sorted(names) == sorted(course_answers.REWRITES) == sorted(course_answers.MISTAKES)
    assert all(len(r) == 3 for r in course_answers.REWRITES.values())
    assert all(len(m) >= 3 for m in course_answers.MISTAKES.values())


TASKS = {name: cells for p in course.solutions() for name, cells in course.tasks(course.read(p)).items()}


@pytest.mark.parametrize('name', course_answers.GUESSES)
def test_a_guess_is_taken_before_anything_is_trained(name):
    "Any guess of the kind asked passes, one of another kind is named, and how far it was comes with the training."
    cell, check = TASKS[name]
    first, trains = check.split('# only now: the training\n')
    assert re.search('you(r| guessed)', trains)
    def says(source):                                     # where nothing that trains is known
        names = {'check': checks.check, 'expect': checks.expect, 'np': np, 'teachers': ['plain', 'verbose', 'foreign']}
        try: exec(f'{source}\n{first}', names)
        except checks.NotYet as e: return str(e).splitlines()[0]
    assert not says(course.source_of(cell))
    assert 'replace the dots' in says(course.SOLUTION.sub(r'\1...', course.source_of(cell)))
    assert not [b for b in course_answers.REWRITES[name] if says(course_mutants.rewritten(cell, b))]
    said = {m: says(course_mutants.edited(cell, *m[:2])) or '' for m in course_answers.MISTAKES[name]}
    assert all(m[2] in s for m, s in said.items()), said


def test_every_page_predicts_first_and_trains():
    "One exercise that asks before the run, and one that trains and looks; on 54 and later one exercise is both."
    for path in course.solutions():
        text = '\n'.join(course.source_of(c) for c in course.read(path)['cells'])
        titles = re.findall(r'^## \d · (.+)$', text, re.M)
        both = any('Predict, then train' in t for t in titles)
        assert both or any('Guess first' in t for t in titles) and any(t.startswith('Train') for t in titles), path.stem


def test_a_quiz_without_script():
    "Four choices each, one right, the answer folded with its why; every page has a question."
    cells = course.read(course.FOLDER/'quiz.ipynb')['cells']
    asked = [''.join(c['source']) for c in cells if re.match(r'### ', ''.join(c['source']))]
    assert len(asked) >= 24 and not any('<script' in a for a in asked)
    for a in asked:
        assert re.findall(r'^- \*\*([A-D])\*\*', a, re.M) == list('ABCD'), a
        m = re.search(r'<details><summary>Answer</summary>\n\n\*\*([A-D])\.\*\* (.+?)\n\n</details>', a, re.S)
        assert m and len(m[2].split()) >= 8, a
    text = '\n'.join(''.join(c['source']) for c in cells)
    assert all(re.search(rf'paper/{n}', text) for n in NAMES)
    right = re.findall(r'Answer</summary>\n\n\*\*([A-D])', text)
    assert all(right.count(x) >= 3 for x in 'ABCD'), 'the right answer stands mostly at one place'
