"""vLLM for real, where it is installed: the same answers as transformers, a canary that sees other weights, and no
process left behind."""
import json, os, signal, subprocess, sys, time
from pathlib import Path

import pytest

from mot_nb.answers.vllm_process import vllm_python

SCRIPT = Path(__file__).parent/'tools'/'engine_script.py'
needs_vllm = pytest.mark.skipif(vllm_python() is None, reason='vLLM is not installed: make vllm')


def alive(pid):
    "Whether a process runs; one that ended and was not waited for does not."
    try: return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError: return False


def gone(pid, seconds=10):
    "Whether a process ends within so many seconds."
    end = time.time() + seconds
    while alive(pid) and time.time() < end: time.sleep(.05)
    return not alive(pid)


@needs_vllm
@pytest.mark.long
def test_the_same_answers_and_a_clean_end(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), 'answers', str(tmp_path)], capture_output=True, text=True,
                          timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    r = json.loads(done.stdout.splitlines()[-1])
    assert r['greedy'] == [8, 8] and r['sampled'] == [24, 24] and r['nucleus'] == [16, 16], r      # equal, of
    assert r['largest'] < 1e-3 and 'does not answer as these weights do' in r['refused'], r
    assert r['goes on'] and 'engine: on file None, asked for vllm' in r['mixed'], r
    assert not alive(r['pid'])


@needs_vllm
@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent(how, tmp_path):
    p = subprocess.Popen([sys.executable, str(SCRIPT), 'wait', str(tmp_path)], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    try:
        pid = int(p.stdout.readline())
        assert alive(pid)
        os.kill(p.pid, how)
        p.wait()
        assert gone(pid)
    finally:
        p.kill()
        p.wait()


def test_without_vllm_the_run_says_so_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setenv('MOT_VLLM', str(tmp_path/'none'))
    from mot_nb.app.cli import main
    assert main(['run', 'smoke/toy', 'eval.engine=vllm', '--out', str(tmp_path/'a'), '--quiet']) == 1
    assert main(['run', 'smoke/toy', 'eval.engine=server', '--out', str(tmp_path/'a'), '--quiet']) == 1
    assert not (tmp_path/'a').exists()
