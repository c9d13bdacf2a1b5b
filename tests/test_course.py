"""The course: every solution passes its checks, every exercise fails them until it is solved, and both are the same
text otherwise."""
import re

import pytest

import course, house

NAMES = [p.stem.removesuffix('_solutions') for p in course.solutions()]


@pytest.mark.parametrize('page', NAMES)
def test_exercises(page, monkeypatch):
    "Both versions of one page's exercises."
    monkeypatch.chdir(course.FOLDER)
    path = course.FOLDER/f'{page}_solutions.ipynb'
    solved = course.read(path)
    unsolved = course.as_exercises(solved)
    found = course.exercises_of(path).read_text(encoding='utf-8')
    cure = 'python tests/tools/course.py write'
    assert course.written(unsolved) == found, f'the exercises differ from their solutions: {cure}'
    checks = [bool('check' in c['metadata'].get('tags', [])) for c in solved['cells'] if c['cell_type'] == 'code']
    blanks = sum(''.join(c['source']).count('# your turn') for c in unsolved['cells'])
    assert sum(checks) >= 2 and blanks >= sum(checks) and '# solution' not in course.written(unsolved)
    done = course.run(solved)
    assert not [e for _, e in done if e], [repr(e) for _, e in done if e]
    passed = [i for i, (check, e) in enumerate(course.run(unsolved)) if check and e is None]
    assert not passed, f'checks that pass without a solution: {passed}'


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
