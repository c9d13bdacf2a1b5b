"Widgets in a real JupyterLab: a page is opened and run, a slider moved by keyboard, and what stands beside it follows."
import shutil

import pytest

import house
from browser import KERNELSPEC, Notebook, missing, until

RIGHT, HOME, END = ('ArrowRight', 39), ('Home', 36), ('End', 35)
# page -> sliders to move: label ('': the first), the key, and what must stand beside it afterwards
PAGES = {'57_theory': [('steps E', RIGHT, 'E = 6'), ('teachers K', RIGHT, '3 teachers')],
         '55_confidence': [('drop (nats)', END, '')],
         '56a_basin': [('', HOME, '')],
         '59_map': [('errors', RIGHT, 'own errors, filtered'), ('teachers', RIGHT, '3 teachers')]}
CASES = [pytest.param(p, marks=[] if p == '57_theory' else pytest.mark.long) for p in PAGES]

STILL = """from mot_nb.views.triangles import triangle_widget
from mot_nb.views.theory_widgets import explore_multiplier, explore_teachers
from mot_nb.views.token_view import Explorer
from mot_nb.views.map_dials import explore_map
from mot_nb.core.records import read_recorded, recorded
from mot_nb.analysis.scored_traces import Scored
cells = [{'weights': [a/3, b/3, (3 - a - b)/3], 'value': .5 + .1*a + .01*b, 'lo': None, 'hi': None, 'n': 2,
          'tokens': [['7', a/3], [' plus', b/3]]} for a in (3, 2, 1, 0) for b in range(3 - a, -1, -1)]
scored = Scored('p', 'plain', (' 5', ' plus'), {'truth': ('shared', 'quirk')},
                {'base': (-1., -1.), 'mot-r1': (-.5, -2.)}, {'base': (2, 2), 'mot-r1': (2, 2)},
                {'base': (' 7',)*2, 'mot-r1': (' 7',)*2})"""
TRIANGLE = "triangle_widget({'names': ['plain', 'verbose', 'foreign'], 'step': 3, 'cells': cells})"
PICTURE = 'src="data:image/png;base64,'
WIDGETS = {'Explorer([scored])': 'class="mtv"', TRIANGLE: PICTURE, 'explore_multiplier()': PICTURE,
           'explore_teachers()': PICTURE, "explore_map(read_recorded(recorded('map/toy'))[1])": PICTURE}


def test_still_without_a_reader(tmp_path, monkeypatch):
    "Run by papermill from a kernel of JupyterLab, every widget is stored as its still form, which the report shows."
    from nbformat import read, write
    from nbformat.v4 import new_code_cell, new_notebook
    from mot_nb.app.pages import execute_page
    from mot_nb.app.page_html import html_page
    monkeypatch.setenv('JPY_SESSION_NAME', '/somewhere/page.ipynb')
    nb = new_notebook(cells=[new_code_cell(STILL), *map(new_code_cell, WIDGETS)], metadata=KERNELSPEC)
    write(nb, tmp_path/'page.ipynb')
    page = read(execute_page(tmp_path/'page.ipynb', tmp_path/'out.ipynb'), 4)
    for cell, still in zip(page.cells[-len(WIDGETS):], WIDGETS.values()):
        data = cell.outputs[-1].data
        assert set(data) == {'text/plain', 'text/html'}, cell.source
        assert still in data['text/html'] and 'Box(' not in data['text/plain'], cell.source
    shown = html_page(page)
    states, pictures = shown.count('<details name="states-'), shown.count('<img alt=')
    assert 'A control that moves' not in shown and states == pictures - 1 >= 25 and shown.count('" open>') == 3


FIND = '''(label => [...document.querySelectorAll('.widget-slider')].find(
    s => !label || s.querySelector('.widget-label')?.textContent.trim() === label))'''
BESIDE = f'''(label => [...({FIND}(label)?.closest('.jp-OutputArea-output')
    ?.querySelectorAll('.widget-html-content') ?? [])].map(e => e.innerHTML).join(' '))'''
FOCUS = "(h => { h.scrollIntoView({block: 'center'}); h.focus() })"


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize('page', CASES)
def test_sliders_move_the_picture(lab, tmp_path, page):
    "The page runs to its end in JupyterLab, and each slider, moved by one key, changes what stands beside it."
    shutil.copy2(house.ROOT/'nbs'/'paper'/f'{page}.ipynb', lab.folder)
    with Notebook(tmp_path, lab, f'{page}.ipynb') as tab:
        # what is stored in the page has no sliders: those that come are made now
        assert tab.js("document.querySelectorAll('.widget-slider').length") == 0
        tab.run_all()
        assert tab.errors() == []
        for label, key, text in PAGES[page]:
            beside = lambda label=label: tab.js(f'{BESIDE}({label!r})')
            before = until(beside, 60, f'the slider {label!r} and what stands beside it')
            assert not text or text not in before
            tab.js(f"{FOCUS}({FIND}({label!r}).querySelector('.noUi-handle'))")
            tab.key(*key)
            moved = lambda beside=beside, before=before: (now := beside()) != before and now
            after = until(moved, 60, f'what stands beside {label!r} to follow it')
            assert text in after, after[:500]
