"Common to all tests: one thread where threads would spin, no hub, a cache of their own only where a test asks for it."
import os, sys
from pathlib import Path

import pytest

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('MPLBACKEND', 'agg')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
sys.path.insert(0, str(Path(__file__).parent))

import house


@pytest.fixture(scope='session')
def root():
    "The checkout under test."
    return house.ROOT


@pytest.fixture(scope='session')
def smoke_report(tmp_path_factory):
    "The report of the smoke profile, made once for all tests that look at it: the folder that holds index.html."
    from mot_nb.report import report
    return report('smoke', out=tmp_path_factory.mktemp('report')/'smoke').parent
