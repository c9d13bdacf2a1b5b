"""Kills ranks of a small run at every file write and at random moments, resumes, and compares the hashes; prints a JSON line for every folder and a summary.

A rank dies by SIGKILL before a rename, in the middle of a file, or with a line half written; alone, or with all the others. Every folder is killed
several times: at the named write, then at random moments. The ranks are forks of one process that has imported everything.

usage: kill_ranks.py FOLDER --ranks 2 --layout parallel --writes 0:1:1 --random 20 --again 1 --seed 0
       --writes FIRST:STEP:RANKS  which writes: every STEP-th from the FIRST, of the first RANKS ranks; leave it out for none
       --at TEXT                  also at the first write of rank 0 whose name holds this
       --again N                  kills at random moments of the resumed run, before it may end
"""
import argparse, json, os, random, shutil, signal, sys, time
from pathlib import Path

import torch
torch.set_num_threads(1)
import transformers.generation.utils  # noqa: imported lazily otherwise, in every rank anew
import transformers.models.qwen3.modeling_qwen3, torch.distributed.fsdp, torch.distributed.tensor, scipy.stats  # noqa
import safetensors.torch
from mot_nb.methods import rounds
from mot_nb.methods.rounds import load_settings, main, read_run
from mot_nb.core.files import write_atomic
from mot_nb.core.settings import to_yaml
from mot_nb.student.students import load_student
import ranks

SETTINGS = {'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 8, 'n_heldout': 4},
            'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'compute': 'float32', 'checkpoint_every': 1, 'optimiser_state': 'kept'},
            'rounds': {'rounds': 2, 'methods': ['mot', 'std', 'oneshot']}, 'eval': {'max_new_tokens': 8, 'loss_rows': 4, 'batch': 2}}


def last_stage(ledger): # file
    "The stage that its last line records."
    return json.loads(Path(ledger).read_text().splitlines()[-1])['stage']


class Faults:
    "Counts what a rank writes into the run folder, and ends it at one of them."
    def __init__(self, out, at=None, trace=None): # the run folder; number of the fatal write; file that takes the names of all
        self.out, self.at, self.n, self.trace, self.parts = str(out), at, 0, trace, {}   # parts: pieces of a file so far; the tenth, a tensor in its middle, counts as a write
        replace, fsync, pwrite, save = os.replace, os.fsync, os.pwrite, safetensors.torch.save_file
        def new_replace(a, b, **kw): self.event('rename', b); return replace(a, b, **kw)
        def new_fsync(fd):
            path = os.readlink(f'/proc/self/fd/{fd}')
            if path.endswith('.jsonl') and self.event('line', path + (f' ({last_stage(path)})' if path.endswith('ledger.jsonl') else '')): self.tear(fd)
            return fsync(fd)
        def new_pwrite(fd, data, offset):
            path = os.readlink(f'/proc/self/fd/{fd}')
            self.parts[path] = self.parts.get(path, 0) + 1
            if self.parts[path] == 10 and self.event('part', path): pwrite(fd, bytes(data)[:len(data) // 2], offset); self.die()
            return pwrite(fd, data, offset)
        def new_save(tensors, path, *a, **kw):
            fatal = self.event('file', path)
            save(tensors, path, *a, **kw)
            if fatal: os.truncate(path, os.path.getsize(path) // 2); self.die()
        os.replace, os.fsync, os.pwrite, safetensors.torch.save_file = new_replace, new_fsync, new_pwrite, new_save
        import transformers.modeling_utils as m
        for name in ('safe_save_file', 'save_file'):
            if hasattr(m, name): setattr(m, name, new_save)

    def event(self, kind, path):
        "True when this write is the fatal one; a fatal rename ends the process here."
        path = str(path)
        if not path.startswith(self.out): return False
        self.n += 1
        if self.trace is not None: self.trace.append([kind, path[len(self.out) + 1:]])
        fatal = self.at == self.n
        if fatal and kind == 'rename': self.die()
        return fatal

    def tear(self, fd):
        "Cuts the last line of a log in two, as a kill in the middle of a write would."
        size = os.fstat(fd).st_size
        text = os.pread(fd, size, 0)
        start = text[:-1].rfind(b'\n') + 1
        os.ftruncate(fd, start + (size - start) // 2)
        time.sleep(.5)   # the other ranks go on as far as they can without this one
        self.die()

    def die(self): os.kill(os.getpid(), signal.SIGKILL)


def attempt(out, file, n, fault=None, after=None, victim=0, every=False, trace=None):
    """Starts the run; a dict of how it ended. `fault` (rank, write): that rank dies there. `after`: `victim` is killed after so many seconds.
    `every`: with the first dead rank all others are killed."""
    log = Path(f'{out}.log')
    log.unlink(missing_ok=True)
    def body(rank):
        seen = [] if trace is not None else None
        Faults(out, fault[1] if fault and fault[0] == rank else None, seen)
        if seen is not None:   # main ends the process itself
            end = os._exit
            def leave(code): write_atomic(f'{trace}.{rank}.json', json.dumps(seen)); end(code)
            os._exit = leave
        return main([str(file), '--out', str(out), '--quiet', '--device', 'cpu'])
    pids = ranks.start(n, body, log)
    begin, died, codes = time.time(), None, {}
    while len(codes) < n:
        if after is not None and died is None and time.time() - begin > after:
            if victim not in codes: os.kill(pids[victim], signal.SIGKILL)   # it may have finished by then
            after = None
        for i, pid in enumerate(pids):
            if i in codes: continue
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[i] = os.waitstatus_to_exitcode(status)
                if codes[i] and died is None:
                    died = time.time()
                    if every:
                        for j, p in enumerate(pids):
                            if j not in codes: os.kill(p, signal.SIGKILL)
        assert time.time() - (died or begin) < (60 if died else 300), f'ranks {[i for i in range(n) if i not in codes]} hang: {log.read_text()[-2000:]}'
        time.sleep(.002)
    killed = [i for i, c in codes.items() if c == -signal.SIGKILL]
    text = log.read_text()
    if killed and not every and len(killed) < n and any(c for i, c in codes.items() if i not in killed):
        assert f'rank {killed[0]} is dead' in text and 'last lines of its log' in text, text[-2000:]
    if not killed: assert all(c == 0 for c in codes.values()), text[-3000:]
    return {'killed': bool(killed), 'end': round(time.time() - died, 2) if died else 0.0}


def sweep():
    p = argparse.ArgumentParser()
    p.add_argument('folder'); p.add_argument('--ranks', type=int, default=2); p.add_argument('--layout', default='parallel'); p.add_argument('--writes'); p.add_argument('--at'); p.add_argument('--random', type=int, default=0); p.add_argument('--seed', type=int, default=0); p.add_argument('--again', type=int, default=0)
    a = p.parse_args()
    folder, rng = Path(a.folder).resolve(), random.Random(a.seed)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder/'settings.yaml'
    file.write_text(to_yaml(load_settings(SETTINGS, [f'rounds.layout={a.layout}'])))
    load_student('toy-tiny')
    begin = time.time()
    attempt(folder/'whole', file, a.ranks, trace=folder/'trace')
    whole, once = read_run(folder/'whole').hash, time.time() - begin
    attempt(folder/'again', file, a.ranks)
    assert read_run(folder/'again').hash == whole, 'the run is not the same twice'
    writes = [json.loads((folder/f'trace.{r}.json').read_text()) for r in range(a.ranks)]
    print(json.dumps({'layout': a.layout, 'ranks': a.ranks, 'whole': whole, 'seconds': round(once, 2), 'writes': [len(w) for w in writes]}), flush=True)
    plans = []
    if a.writes:
        first, step, n = map(int, a.writes.split(':'))
        plans += [(r, w) for r in range(n) for w in range(1 + first, len(writes[r]) + 1, step)]
    if a.at: plans.append((0, next(i for i, w in enumerate(writes[0], 1) if a.at in ' '.join(w))))
    plans += [None] * a.random
    kills = equal = 0
    longest = 0.0
    for i, plan in enumerate(plans):
        out, ends, where = folder/f'killed-{i}', [], []
        if plan: first = attempt(out, file, a.ranks, fault=plan, every=i % 2 == 1); where.append(f'rank {plan[0]}, {" ".join(writes[plan[0]][plan[1] - 1])}')
        else: first = attempt(out, file, a.ranks, after=rng.uniform(.1, .95) * once, victim=rng.randrange(a.ranks), every=i % 2 == 1); where.append('random')
        if first['killed']: ends.append(first['end'])
        for _ in range(a.again):   # killed once more on the way back
            more = attempt(out, file, a.ranks, after=rng.uniform(.1, .7) * once, victim=rng.randrange(a.ranks), every=bool(rng.randrange(2)))
            if more['killed']: ends.append(more['end']); where.append('random, while it resumed')
        last = attempt(out, file, a.ranks)
        assert not last['killed']
        same = read_run(out).hash == whole
        left = [str(p) for p in out.rglob('.*') if p.name.endswith(('.part', '.old'))] + [str(p) for p in out.rglob('*.part-*')] + [str(p) for p in (out/'work',) if p.exists()]
        assert not left, left
        kills += len(ends); equal += same; longest = max([longest, *ends])
        print(json.dumps({'folder': i, 'kills': len(ends), 'where': where, 'all': i % 2 == 1, 'equal': same, 'end': ends}), flush=True)
        if same: shutil.rmtree(out)
    print(json.dumps({'layout': a.layout, 'ranks': a.ranks, 'folders': len(plans), 'kills': kills, 'equal': equal, 'longest': longest, 'minutes': round((time.time() - begin) / 60, 1)}), flush=True)
    return 0 if equal == len(plans) else 1


if __name__ == '__main__': sys.exit(sweep())
