"Processes that are forked with their imports done: none outlives whom it works for, and a page in one says the same."
import os, signal, subprocess, sys, time

import psutil, pytest

from mot_nb.core.forks import Forked, forking

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='processes are forked on Linux alone')
PARENT = '''
import sys
from mot_nb.core.forks import Forked, forking
with forking(['json']) as forks:
    process = Forked(forks.address, 'signal:pause')
    print(process.pid, flush=True)
    sys.stdin.readline()
'''


def gone(pid, seconds=10):
    "Whether a process ends within some seconds."
    end = time.time() + seconds
    while time.time() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE: return True
        time.sleep(.05)
    return False


def test_nothing_outlives_a_killed_parent():
    parent = subprocess.Popen([sys.executable, '-c', PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    forked = int(parent.stdout.readline())
    servers = [p.pid for p in psutil.Process(parent.pid).children()]
    parent.kill()
    parent.wait()
    assert servers and all(map(gone, [forked, *servers]))


def test_a_process_ends_with_whoever_asked_for_it():
    with forking(['json']) as forks:
        process = Forked(forks.address, 'signal:pause')
        process.file.close()
        process.socket.close()
        assert gone(process.pid)


def test_signals_and_what_comes_of_them():
    "Ended by a signal: its number is told, as by subprocess; at work: no exit code."
    with forking(['json']) as forks:
        process = Forked(forks.address, 'signal:pause')
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired): process.wait(.1)
        process.terminate()
        assert ''.join(process.stdout).strip() == '' and process.wait(5) == process.poll() == -signal.SIGTERM


def test_stages_that_are_forked_answer_as_others_do(tmp_path, monkeypatch):
    from mot_nb.app.stages import Stage, run_stages
    from mot_nb.core.errors import MotError
    (tmp_path/'calls.py').write_text('''
import os, signal, torch
from mot_nb.core.errors import MotError
def threads(): print('here'); return [torch.get_num_threads(), os.environ['OMP_NUM_THREADS']]
def die(): os.kill(os.getpid(), signal.SIGKILL)
def refuse(): raise MotError('this cannot be', where='here')
''')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])]))
    lines, records = [], []
    stages = [Stage(str(n), 'calls:threads', threads=n) for n in (1, 2)]
    how = dict(fork=True, said=lambda *line: lines.append(line), ended=lambda s, t, record: records.append(record))
    assert run_stages(stages, 1, **how) == {'1': [1, '1'], '2': [2, '2']}
    assert [line for _, line in lines[1:]] == ['here', 'here'] and lines[0][0] == 'imports'
    assert all('memory' in r for r in records)
    for call, said in (('die', 'killed by signal 9'), ('refuse', 'this cannot be')):
        with pytest.raises(MotError, match=said): run_stages([Stage(n, f'calls:{call}') for n in 'ab'], fork=True)


def test_a_process_that_forks_and_is_gone_is_not_waited_for(monkeypatch):
    "Its imports kill it: the stages begin by their own."
    from mot_nb.app import stages
    dying = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    own = subprocess.Popen
    def killed(command, *args, **how):
        if 'serve' in command[2]: command = [command[0], '-c', dying]
        return own(command, *args, **how)
    monkeypatch.setattr('mot_nb.core.forks.subprocess.Popen', killed)
    done = stages.run_stages([stages.Stage(n, 'os:getcwd') for n in 'ab'], fork=True)
    assert done == dict.fromkeys('ab', os.getcwd())
