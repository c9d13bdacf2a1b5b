"""Every library notebook and the front page run from top to bottom in a fresh kernel; the pages run in the report of
the smoke profile (test_report.py)."""
import pytest

import house
from mot_nb.core.forks import PRELOADED, forked_kernels, forking

FIGURES = house.ROOT/'nbs'/'figures'
LIBRARY = [p for wing in house.WINGS
           for p in sorted((house.ROOT/'nbs'/wing).glob('[0-9]*.ipynb'))] + [house.ROOT/'nbs'/'index.ipynb']


@pytest.fixture(scope='module')
def forks():
    "A process that has done the slow imports: a notebook's own are most of a short test's time."
    with forking((*PRELOADED, 'nbdev.showdoc')) as started: yield started and started.address


@pytest.mark.parametrize('notebook', LIBRARY, ids=lambda p: f'{p.parent.name}/{p.stem}')
def test_library_notebook(notebook, tmp_path, forks):
    import papermill
    before = {p: p.read_bytes() for p in FIGURES.glob('*')}
    with forked_kernels(forks):
        papermill.execute_notebook(str(notebook), str(tmp_path/notebook.name), cwd=str(notebook.parent),
                                   kernel_name='python3', progress_bar=False, execution_timeout=600)
    assert {p: p.read_bytes() for p in FIGURES.glob('*')} == before     # a test changes no tracked file
