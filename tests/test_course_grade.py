"A class is graded: every notebook in a process of its own, with the checks that ship, and none stops the others."
import csv, json, time

import pytest

from mot_nb.app import checks, grading
from mot_nb.app.cli import main
from mot_nb.core.errors import MotError


def notebook(*cells):
    "A notebook of code cells: (id, source, whether it is a check)."
    return json.dumps({'cells': [{'cell_type': 'code', 'id': key, 'source': source, 'outputs': [],
                                  'metadata': {'tags': ['check']} if check else {}} for key, source, check in cells],
                       'metadata': {}, 'nbformat': 4, 'nbformat_minor': 5})


SHIPS = (('a', 'def two():\n    ...  # your turn', False), ('b', 'check(two, [()], lambda: 2)', True),
         ('c', 'def three():\n    ...  # your turn', False), ('d', 'check(three, [()], lambda: 3)', True))
TWO, THREE = ('a', 'def two(): return 2', False), ('c', 'def three(): return 3', False)


@pytest.fixture
def classroom(tmp_path, monkeypatch):
    "A checkout with one page of two exercises, and a function that hands in."
    (tmp_path/'nbs'/'course').mkdir(parents=True)
    (tmp_path/'nbs'/'course'/'50_exercises.ipynb').write_text(notebook(*SHIPS))
    monkeypatch.setattr(grading, 'pages_folder', lambda: tmp_path/'nbs')
    def hand_in(student, text, at='course'):
        place = tmp_path/'class'/student/at
        place.mkdir(parents=True)
        (place/'50_exercises.ipynb').write_text(text)
        return tmp_path/'class'
    return hand_in


def test_none_stops_the_others(classroom, tmp_path, capsys):
    "Solved, half solved, no notebook, a Python that is ended, a check that was changed, cells out of order."
    classroom('anna', notebook(TWO, SHIPS[1], THREE, SHIPS[3]))
    classroom('ben', notebook(TWO, SHIPS[1], ('x', 'import os; os._exit(0)', False), THREE, SHIPS[3]), at='.')
    classroom('=cleo', notebook(SHIPS[0], ('b', 'check = lambda *a: 1', True), THREE, ('q', 'check = print', False)))
    folder = classroom('dan', 'no notebook')
    assert main(['grade', str(folder), '--quiet', '--out', str(tmp_path/'grades.csv')]) == 0
    assert 'anna: 2 of 2' in capsys.readouterr().out
    with open(tmp_path/'grades.csv', newline='') as file: rows = list(csv.DictReader(file))
    found = {(r['student'], r['exercise']): (r['passed'], r['message']) for r in rows}
    assert found['anna', '50.1 two'] == found['anna', '50.2 three'] == found['ben', '50.1 two'] == ('yes', '')
    assert found['ben', '50.2 three'] == ('no', 'the notebook ended Python')
    assert found["'=cleo", '50.1 two'] == ('no', 'two returns None: replace the dots')
    assert found["'=cleo", '50.2 three'] == ('yes', '')      # its check was left out, and runs at the end
    assert found['dan', '50.1 two'] == ('no', 'the file is no notebook') and len(rows) == 8


def test_a_notebook_without_end(classroom):
    "What was passed before the time was over counts; what a notebook started ends with it."
    endless = ('x', 'import subprocess\nsubprocess.Popen(["sleep", "61.25"])\nwhile True: pass', False)
    folder = classroom('anna', notebook(TWO, SHIPS[1], endless, THREE, SHIPS[3]))
    began = time.time()
    rows = grading.grade_class(folder, seconds=30).rows
    assert [r.passed for r in rows] == [True, False] and rows[1].message == 'not reached in 30 s'
    assert time.time() - began < 60


def test_nobody(tmp_path):
    (tmp_path/'class').mkdir()
    with pytest.raises(MotError, match='nobody handed in'): grading.handed_in(tmp_path/'class')
    with pytest.raises(MotError, match='no such folder'): grading.handed_in(tmp_path/'other')


def test_what_a_check_says():
    "Known mistakes first; then sign, factor, order, shape; else the case."
    def says(f, cases=(([1., 2.],), ([4., 5.],)), **more):
        with pytest.raises(checks.NotYet) as e: checks.check(f, cases, lambda x: [v*2 + 1 for v in x], **more)
        return str(e.value).splitlines()[0].split(' ', 1)[1]
    right = lambda x: [v*2 + 1 for v in x]
    assert str(checks.check(right, [([1.],)], right)).endswith('right in the one case')
    assert says(lambda x: [-v for v in right(x)]) == 'has the wrong sign'
    assert says(lambda x: [v*3 for v in right(x)]).startswith('is everywhere 3 times')
    assert says(lambda x: right(x)[::-1]) == 'has the right values in another order'
    assert says(lambda x: right(x)[:1]).startswith('returns a list of 1')
    assert says(lambda x: [v + 1 for v in right(x)]).startswith('is everywhere +1 off')
    assert says(lambda x: x, mistakes={'forgets to double: do': lambda x: x}) == 'forgets to double'
    assert says(lambda x: x[9]).startswith('raises IndexError')
    assert says(lambda x: None) == 'returns None: replace the dots'
    wrong = lambda x: right(x) if x[0] < 2 else x
    assert says(wrong, {'small': ([1., 2.],), 'large': ([4., 5.],)}).endswith('wrong for large')
    def endless(x):
        while True: x = list(x)
    assert says(endless, seconds=.2) == 'takes more than 0.2 s'
