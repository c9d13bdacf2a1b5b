"The first lines of README and design, typed in a fresh JupyterLab: none errs, each object shows itself, none is slow."
import pytest

import house
from browser import missing
from face import face_cells, face_lines, run_face

# Seconds of the processor that one line may take: four times those recorded on a quiet machine (checks/face.jsonl),
# since a busy one makes processor seconds longer too. All lines of SmolLM2 are timed by tests/tools/time_face.py.
CASES = [pytest.param('toy', None, 70, id='toy'),
         pytest.param('smollm2-135m', 'run = ', 240, marks=pytest.mark.long, id='smollm2-135m')]


def test_the_lines_are_those_of_the_readme():
    "README shows every line that the notebook runs, but for those that only nbs/app/03_explore.ipynb has."
    readme = (house.ROOT/'README.md').read_text(encoding='utf-8')
    lines = face_lines()
    assert len(lines) >= 12 and [x for x in lines if x not in readme] in ([], ['merged.answers()', 'merged.accuracy()'])


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize('preset, until, most', CASES)
def test_face_in_a_fresh_lab(lab, tmp_path, preset, until, most):
    "Every line runs, and student, teacher, trace, branch, merge, run and what is asked of them are shown in HTML."
    cells = run_face(lab, tmp_path, preset, 600, until)
    for c in cells: print(f'{c.seconds:7.1f} s, {c.cpu:6.1f} s of processor: {c.source}')
    assert not [(c.source, c.error()) for c in cells if c.error()]
    shown = {c.shows: c.html() for c in cells if c.shows}
    names = {name for name, _ in face_cells(preset, until) if name}
    assert set(shown) == names and len(names) >= 6 and not [name for name, html in shown.items() if '<' not in html]
    assert not [(c.source, c.cpu) for c in cells if c.cpu > most]
