"""Kernels forked from a process that has torch and transformers imported.

A notebook's own imports are most of a short test's time.

    with forked.kernels(): papermill.execute_notebook(...)
"""
import contextlib, multiprocessing, os, signal, sys
from unittest import mock

PRELOADED = ['torch', 'transformers.models.auto.modeling_auto', 'transformers.models.llama.modeling_llama',
             'transformers.models.qwen3.modeling_qwen3', 'transformers.generation.utils',
             'transformers.models.auto.tokenization_auto', 'ipykernel.kernelapp', 'nbdev.showdoc']


def _kernel(argv, env, cwd, ready):
    "Is a kernel: what `python -m ipykernel_launcher` would be."
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd or '.')
    sys.argv = argv
    sys.path.insert(0, os.getcwd())
    ready.send(os.getpid())
    ready.close()
    from ipykernel.kernelapp import launch_new_instance
    parent = f'--IPKernelApp.parent_handle={os.getppid()}'      # it ends when the server of the forks does
    launch_new_instance(argv=[*argv[1:], parent])


class Forked:
    "What a kernel manager asks of a `subprocess.Popen`."
    stdin = stdout = stderr = None

    def __init__(self, cmd, env=None, cwd=None, **_):
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload(PRELOADED)
        here, there = context.Pipe(duplex=False)
        args = ['ipykernel', *cmd[cmd.index('-f'):]], dict(env or os.environ), cwd, there
        self.process = context.Process(target=_kernel, args=args)
        self.process.start()
        there.close()
        self.pid = here.recv()                     # it leads a process group of its own from here on

    def poll(self): return self.process.exitcode

    def wait(self, timeout=None):
        self.process.join(timeout)
        return self.process.exitcode

    def send_signal(self, signum): os.kill(self.pid, signum)
    def kill(self): self.send_signal(signal.SIGKILL)
    def terminate(self): self.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def kernels():
    "Within it, jupyter_client starts kernels by forking."
    with mock.patch('jupyter_client.provisioning.local_provisioner.launch_kernel', Forked): yield
