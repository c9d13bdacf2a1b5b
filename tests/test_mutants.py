"The list of small faults is honest: each still stands in the code once, changes it, and names tests that exist."
import re
from dataclasses import replace

import pytest

import mutants
from mutant_list import MUTANTS


def test_every_mutant_applies_exactly_once():
    wrong = mutants.misfits()
    assert not wrong, '\n'.join(wrong)


def test_the_list_is_long_and_its_survivors_have_reasons():
    assert len(MUTANTS) >= 80 and len({m.area for m in MUTANTS}) >= 15
    assert sum(bool(m.reason) for m in MUTANTS) <= .05*len(MUTANTS)


M = MUTANTS[0]


@pytest.mark.parametrize('bad, says', [
    (replace(M, old='no such text'), 'stands 0 times'), (replace(M, old='\n'), r'stands \d+ times'),
    (replace(M, new=M.old), 'stays the same'), (replace(M, new='('), 'no Python'),
    (replace(M, module='student.losses'), 'losses'),
    (replace(M, tests=('student/99_loss',)), 'there is no student/99_loss'),
    (replace(M, tests=('test_loss.py::test_nothing',)), 'there is no test_loss.py::test_nothing')])
def test_a_list_that_is_not_honest_is_found(bad, says):
    assert re.search(says, mutants.misfit(bad))
    assert mutants.misfits([M, M]) == [f'{M}: stands there twice']
