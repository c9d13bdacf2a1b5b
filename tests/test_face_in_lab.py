"The first lines of README and design, typed in a fresh JupyterLab: none errs, each object shows itself, none is slow."
import pytest

import house
from browser import missing
from face import LOOKED_AT, SHOWN_BY, face_lines, run_face

NAMES = {*SHOWN_BY, *(name for looks in LOOKED_AT.values() for name in looks)}
# seconds of the kernel's processor that one line may take: wall seconds depend on who else works on this machine
CASES = [pytest.param('toy', 30, id='toy'), pytest.param('smollm2-135m', 240, marks=pytest.mark.long)]


def test_the_lines_are_those_of_the_readme():
    "README shows every line that the notebook runs, but for those that only nbs/app/03_explore.ipynb has."
    readme = (house.ROOT/'README.md').read_text(encoding='utf-8')
    lines = face_lines()
    assert len(lines) >= 12 and [x for x in lines if x not in readme] in ([], ['merged.answers()', 'merged.accuracy()'])


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize('preset, most', CASES)
def test_face_in_a_fresh_lab(lab, tmp_path, preset, most):
    "Every line runs, and student, teacher, trace, branch, merge, run and what is asked of them are shown in HTML."
    cells = run_face(lab, tmp_path, preset, 600)
    for c in cells: print(f'{c.seconds:7.1f} s, {c.cpu:6.1f} s of processor: {c.source}')
    assert not [(c.source, c.error()) for c in cells if c.error()]
    shown = {c.shows: c.html() for c in cells if c.shows}
    assert set(shown) == NAMES and not [name for name, html in shown.items() if '<' not in html]
    assert not [(c.source, c.cpu) for c in cells if c.cpu > most]
