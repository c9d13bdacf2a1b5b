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


def test_nothing_outlives_a_killed_parent(tmp_path):
    parent = subprocess.Popen([sys.executable, '-c', PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, 'TMPDIR': str(tmp_path)})
    forked = int(parent.stdout.readline())
    servers = [p.pid for p in psutil.Process(parent.pid).children()]
    parent.kill()
    parent.wait()
    assert servers and all(map(gone, [forked, *servers]))
    assert not list(tmp_path.iterdir())


def test_a_parent_that_is_killed_at_once_leaves_nobody(tmp_path):
    "The process that forks begins when its parent is gone already."
    script = f'from mot_nb.core.forks import serve; serve({str(tmp_path/"socket")!r}, {os.getpid()}, [])'
    between = f'import subprocess, sys; print(subprocess.Popen([sys.executable, "-c", {script!r}]).pid)'
    assert gone(int(subprocess.run([sys.executable, '-c', between], capture_output=True, text=True).stdout))


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
import os, signal, time, torch
from mot_nb.core.errors import MotError
def threads():
    print('here')
    time.sleep(2.5)
    return [torch.get_num_threads(), os.environ['OMP_NUM_THREADS'], os.getppid()]
def die(): os.kill(os.getpid(), signal.SIGKILL)
def refuse(): raise MotError('this cannot be', where='here')
''')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])]))
    lines, records = [], []
    stages = [Stage(str(n), 'calls:threads', threads=n) for n in (1, 2)]
    how = dict(said=lambda *line: lines.append(line), ended=lambda s, t, record: records.append(record))
    with forking() as forks: (*one, server), (*two, same) = run_stages(stages, 1, forks=forks, **how).values()
    assert (one, two) == ([1, '1'], [2, '2']) and server == same != os.getpid()
    assert [line for name, line in lines if name != 'imports'] == ['here', 'here'] and lines[0][0] == 'imports'
    assert all(r['memory'] > 10**8 for r in records)
    for call, said in (('die', 'killed by signal 9'), ('refuse', 'this cannot be')):
        with forking() as forks, pytest.raises(MotError, match=said):
            run_stages([Stage(n, f'calls:{call}') for n in 'ab'], forks=forks)


def test_a_process_that_forks_and_is_gone_is_not_waited_for(monkeypatch):
    "Its imports kill it: the stages begin by their own."
    from mot_nb.app import stages
    dying = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    own = subprocess.Popen
    def killed(command, *args, **how):
        if 'serve' in command[2]: command = [command[0], '-c', dying]
        return own(command, *args, **how)
    monkeypatch.setattr('mot_nb.core.forks.subprocess.Popen', killed)
    with forking() as forks: done = stages.run_stages([stages.Stage(n, 'os:getcwd') for n in 'ab'], forks=forks)
    assert done == dict.fromkeys('ab', os.getcwd())


def test_a_stage_that_nobody_listens_to_still_ends(tmp_path, monkeypatch):
    from mot_nb.app.stages import Stage, run_stages
    (tmp_path/'talks.py').write_text("def talk(): [print('x' * 1000, flush=True) for _ in range(2000)]")
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])]))
    def deaf(name, line):
        if name != 'imports': raise BrokenPipeError
    monkeypatch.setattr('threading.excepthook', lambda *args: None)
    from mot_nb.core.errors import MotError
    with forking() as forks, pytest.raises(MotError):
        run_stages([Stage(n, 'talks:talk') for n in 'ab'], 1, forks=forks, said=deaf)


def test_a_process_that_has_ended_takes_signals_without_an_error():
    with forking(['json']) as forks:
        process = Forked(forks.address, 'os:getcwd')
        assert gone(process.pid)
        process.terminate()
        process.kill()


def test_a_kernel_that_was_forked_says_what_another_says(tmp_path, monkeypatch):
    "Text, a figure, a table; what it made for a while is gone at its end."
    monkeypatch.delenv('MPLBACKEND', raising=False)          # as in a kernel that nobody told
    import nbformat, papermill
    from nbformat.v4 import new_code_cell, new_notebook
    from mot_nb.core.forks import PRELOADED, forked_kernels
    lines = ("import matplotlib.pyplot as plt; plt.plot([1, 2]); print('here')", 'import pandas; pandas.DataFrame([1])',
             f"import tempfile; t = tempfile.TemporaryDirectory(dir={str(tmp_path)!r}, prefix='while-')")
    metadata = {'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}}
    nbformat.write(new_notebook(cells=[*map(new_code_cell, lines)], metadata=metadata), tmp_path/'a.ipynb')
    def outputs(forks, to):
        with forked_kernels(forks and forks.address):
            made = papermill.execute_notebook(str(tmp_path/'a.ipynb'), str(tmp_path/to), progress_bar=False)
        return [[{k: v for k, v in o.items() if k != 'execution_count'} for o in c.outputs] for c in made.cells]
    with forking(PRELOADED) as forks: forked = outputs(forks, 'b.ipynb')
    usual = outputs(None, 'c.ipynb')
    assert forked == usual and 'image/png' in str(usual) and '<table' in str(usual)
    assert not list(tmp_path.glob('while-*'))
