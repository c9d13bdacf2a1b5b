"Every analysis computes where it is asked to: `tools/device_tests.py`, in a process of its own."
import subprocess
import sys
from pathlib import Path


def test_on_a_second_device():
    "torch counts its devices at the first backward, so the pretended one has to be there before any other test."
    tests = Path(__file__).parent/'tools'/'device_tests.py'
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', tests]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and 'passed' in done.stdout, done.stdout[-4000:] + done.stderr[-1000:]
