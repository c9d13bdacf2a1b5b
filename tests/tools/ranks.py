"Starts ranks as forks of one process that has imported everything: what the tests of several processes share."
import os, signal, socket, sys, time, traceback


def free_port():
    "A port nobody listens on."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def environment_of(rank, ranks, port):
    "The variables that torchrun sets."
    numbers = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=ranks, LOCAL_WORLD_SIZE=ranks, MASTER_PORT=port)
    return {'MASTER_ADDR': '127.0.0.1', **{k: str(v) for k, v in numbers.items()}}


def write_to(log): # file
    "Sends this process' stdout and stderr to a file."
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2): os.dup2(fd, stream)


def start(ranks,        # how many
          body,         # called in each with its rank; what it returns is the exit code
          log=None):    # file that takes the ranks' stdout and stderr; None: as they are
    "[process id] of forked ranks, with the environment torchrun gives."
    port, pids = free_port(), []
    for rank in range(ranks):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.environ.update(environment_of(rank, ranks, port))
                if log is not None: write_to(log)
                code = body(rank) or 0
            except BaseException: traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    return pids


def wait(pids,           # of `start`
         seconds=600.0): # after which all are killed
    "([exit code or -signal of each], seconds until the last one ended); raises when they have to be killed."
    begin, codes = time.time(), {}
    while len(codes) < len(pids):
        for pid in pids:
            if pid not in codes:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done: codes[pid] = os.waitstatus_to_exitcode(status)
        if time.time() - begin > seconds:
            left = [p for p in pids if p not in codes]
            for p in left:
                os.kill(p, signal.SIGKILL)
                os.waitpid(p, 0)
            raise TimeoutError(f'{len(left)} of {len(pids)} ranks did not end within {seconds:.0f} seconds')
        time.sleep(.005)
    return [codes[p] for p in pids], time.time() - begin
