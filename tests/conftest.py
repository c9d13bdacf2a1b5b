"Common to all tests: one thread where threads would spin, no hub, a cache of their own only where a test asks for it."
import os, subprocess, sys
from pathlib import Path

import pytest

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
os.environ.setdefault('OMP_NUM_THREADS', '1')  # two tests run at a time
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('MPLBACKEND', 'agg')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
sys.path.insert(0, str(Path(__file__).parent/'tools'))  # what tests import but is no test: house, course, ranks, ...

import house
from browser import running_lab

LONG = 'takes a minute or more'


def pytest_configure(config):
    config.addinivalue_line('markers', f'long: {LONG}; runs with `make test LONG=1`, as CI does')


def pytest_collection_modifyitems(items):
    if os.environ.get('LONG'): return
    for item in items:
        if item.get_closest_marker('long'): item.add_marker(pytest.mark.skip(reason=f'{LONG}: make test LONG=1'))


@pytest.fixture(scope='session')
def root():
    "The checkout under test."
    return house.ROOT


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    "A fresh JupyterLab for the tests of a module."
    with running_lab(tmp_path_factory.mktemp('lab')) as lab: yield lab


@pytest.fixture(scope='session')
def smoke_report(tmp_path_factory):
    "The folder of the smoke profile's report, killed twice while it is made and then resumed; made once for all tests."
    base = tmp_path_factory.getbasetemp()
    out = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base)/'report'/'smoke'  # one for all workers
    from filelock import FileLock
    with FileLock(str(base.parent/'smoke_report.lock')): return _make_smoke_report(out)


def _make_smoke_report(out):
    if (out/'index.html').exists(): return out
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).parent/'mot'), 'report', 'smoke', '--out', str(out)]
    for wait in (25, 20):     # the first ten seconds are imports
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try: p.wait(wait)
        except subprocess.TimeoutExpired:   # it alone: the processes of its stages must end by themselves
            p.kill()
            p.wait()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out
