"""Kills ranks of a small run at every file write and at random moments, resumes, and compares the hashes.

Prints a JSON line for every folder and a summary. A rank dies by SIGKILL before a rename, in the middle of a file, or
with a line half written; alone, or with all the others. Every folder is killed several times: at the named write, then
at random moments. The ranks are forks of one process that has imported everything.

    python tests/tools/kill_ranks.py FOLDER --ranks 2 --layout parallel --writes 0:1:1 --random 20 --again 1 --seed 0
"""
import argparse, json, os, random, shutil, signal, sys, time
from pathlib import Path

import torch
torch.set_num_threads(1)
# imported lazily otherwise, in every rank anew
import transformers.generation.utils, transformers.models.qwen3.modeling_qwen3  # noqa: F401
import torch.distributed.fsdp, torch.distributed.tensor, scipy.stats             # noqa: F401
from mot_nb.core.files import write_atomic
from mot_nb.core.settings import load_settings
from mot_nb.methods.launch import run_launched
from mot_nb.methods.runs import read_run
from mot_nb.student.students import load_student
import ranks
from faults import Faults

SETTINGS = {'student': {'name': 'toy-tiny'},
            'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 8, 'n_heldout': 4},
            'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'compute': 'float32', 'checkpoint_every': 1,
                      'optimiser_state': 'kept'},
            'rounds': {'rounds': 2, 'methods': ['mot', 'std', 'oneshot']},
            'eval': {'max_new_tokens': 8, 'loss_rows': 4, 'batch': 2}}


def rank_body(out, settings, fault, trace):
    "What each rank does: the run, ended by its fault, or with its writes noted in TRACE.RANK.json."
    def body(rank):
        seen = [] if trace is not None else None
        Faults(out, fault[1] if fault and fault[0] == rank else None, seen)
        end = os._exit
        def leave(code):   # a rank ends the process itself
            write_atomic(f'{trace}.{rank}.json', json.dumps(seen))
            end(code)
        if seen is not None: os._exit = leave
        return run_launched(settings, out, progress=False, device='cpu')
    return body


class Attempt:
    "One start of the run on all ranks, and how it ends."
    def __init__(self, out,     # the run folder
                 settings,      # RunSettings
                 n,             # ranks
                 fault=None,    # (rank, number of the write it dies at)
                 after=None,    # seconds until `victim` is killed
                 victim=0,      # a rank
                 every=False,   # kill all others with the first dead rank
                 trace=None):   # where each rank notes its writes
        self.n, self.after, self.victim, self.every, self.log = n, after, victim, every, Path(f'{out}.log')
        self.log.unlink(missing_ok=True)
        self.pids = ranks.start(n, rank_body(out, settings, fault, trace), self.log)
        self.begin, self.died, self.codes = time.time(), None, {}
        while len(self.codes) < n: self._look()

    def _look(self):
        "Kills whom it is time to kill, and notes who has ended."
        if self.after is not None and self.died is None and time.time() - self.begin > self.after:
            if self.victim not in self.codes: os.kill(self.pids[self.victim], signal.SIGKILL)  # it may have finished
            self.after = None
        for i, pid in enumerate(self.pids):
            if i not in self.codes: self._wait_for(i, pid)
        left = [i for i in range(self.n) if i not in self.codes]
        patience = 60 if self.died else 300
        assert time.time() - (self.died or self.begin) < patience, f'ranks {left} hang: {self.log.read_text()[-2000:]}'
        time.sleep(.002)

    def _wait_for(self, i, pid):
        "Notes a rank's end; the first that dies may take the others with it."
        done, status = os.waitpid(pid, os.WNOHANG)
        if not done: return
        self.codes[i] = os.waitstatus_to_exitcode(status)
        if not self.codes[i] or self.died is not None: return
        self.died = time.time()
        for j, other in enumerate(self.pids if self.every else []):
            if j not in self.codes: os.kill(other, signal.SIGKILL)

    def outcome(self):
        "Whether a rank was killed, and seconds until all had ended; raises where the others do not say why they ended."
        killed, text = [i for i, c in self.codes.items() if c == -signal.SIGKILL], self.log.read_text()
        others = [c for i, c in self.codes.items() if i not in killed]
        if killed and others and any(others) and not self.every:
            assert f'rank {killed[0]} is dead' in text and 'last lines of its log' in text, text[-2000:]
        if not killed: assert all(c == 0 for c in self.codes.values()), text[-3000:]
        return {'killed': bool(killed), 'end': round(time.time() - self.died, 2) if self.died else 0.0}


def attempt(*a, **kw):
    "How one start of the run ended: see `Attempt`."
    return Attempt(*a, **kw).outcome()


def left_over(out):
    "Half-written files of a finished run, and its folder of work."
    hidden = [p for p in out.rglob('.*') if p.name.endswith(('.part', '.old'))]
    return [str(p) for p in (*hidden, *out.rglob('*.part-*'), *out.rglob('work'))]


def undisturbed(folder, settings, n):
    "(hash, seconds, each rank's writes) of the run that nobody kills; raises unless it is the same twice."
    begin = time.time()
    attempt(folder/'whole', settings, n, trace=folder/'trace')
    whole, once = read_run(folder/'whole').hash, time.time() - begin
    attempt(folder/'again', settings, n)
    assert read_run(folder/'again').hash == whole, 'the run is not the same twice'
    return whole, once, [json.loads((folder/f'trace.{r}.json').read_text()) for r in range(n)]


def plans(a, writes):
    "(rank, write) for each folder that is killed at a write; None for one killed at random."
    out = []
    if a.writes:
        first, step, n = map(int, a.writes.split(':'))
        out += [(r, w) for r in range(n) for w in range(1 + first, len(writes[r]) + 1, step)]
    if a.at: out.append((0, next(i for i, w in enumerate(writes[0], 1) if a.at in ' '.join(w))))
    return out + [None]*a.random


class Sweep:
    "Folders of one run that are killed and resumed, with what is the same for all."
    def __init__(self, a, settings, folder):
        self.a, self.settings, self.folder, self.rng = a, settings, folder, random.Random(a.seed)
        self.whole, self.once, self.writes = undisturbed(folder, settings, a.ranks)

    def try_once(self, out, **kw): return attempt(out, self.settings, self.a.ranks, **kw)

    def at_random(self, out, until, **kw):
        "Kills a rank at a random moment of the first part of the time the run needs."
        after, victim = self.rng.uniform(.1, until)*self.once, self.rng.randrange(self.a.ranks)
        return self.try_once(out, after=after, victim=victim, **kw)

    def one(self, i, plan):
        "Kills folder `i` as planned, resumes it, and says whether its result is that of the undisturbed run."
        out, every = self.folder/f'killed-{i}', i % 2 == 1
        if plan: first, where = self.try_once(out, fault=plan, every=every), [self.name_of(plan)]
        else: first, where = self.at_random(out, .95, every=every), ['random']
        ends = [first['end']] if first['killed'] else []
        for _ in range(self.a.again):   # killed once more while it resumes
            more = self.at_random(out, .7, every=bool(self.rng.randrange(2)))
            if not more['killed']: continue
            ends.append(more['end'])
            where.append('random, while it resumed')
        assert not self.try_once(out)['killed']
        same = read_run(out).hash == self.whole
        assert not left_over(out), left_over(out)
        if same: shutil.rmtree(out)
        return {'folder': i, 'kills': len(ends), 'where': where, 'all': every, 'equal': same, 'end': ends}

    def name_of(self, plan):
        "A planned kill in words."
        rank, write = plan
        return f'rank {rank}, {" ".join(self.writes[rank][write - 1])}'


def arguments():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder')
    p.add_argument('--ranks', type=int, default=2)
    p.add_argument('--layout', default='parallel')
    p.add_argument('--writes', metavar='FIRST:STEP:RANKS',
                   help='every STEP-th write from the FIRST, of the first RANKS ranks; without it none')
    p.add_argument('--at', metavar='TEXT', help='also at the first write of rank 0 whose name holds this')
    p.add_argument('--random', type=int, default=0, metavar='N', help='folders killed at a random moment')
    p.add_argument('--again', type=int, default=0, metavar='N', help='kills of the resumed run, before it may end')
    p.add_argument('--seed', type=int, default=0)
    return p.parse_args()


def main():
    "All folders; the exit code."
    a, begin = arguments(), time.time()
    folder = Path(a.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    load_student('toy-tiny')
    sweep = Sweep(a, load_settings(SETTINGS, [f'rounds.layout={a.layout}']), folder)
    about = {'layout': a.layout, 'ranks': a.ranks}
    print(json.dumps({**about, 'whole': sweep.whole, 'seconds': round(sweep.once, 2),
                      'writes': [len(w) for w in sweep.writes]}), flush=True)
    rows = []
    for i, plan in enumerate(plans(a, sweep.writes)):
        rows.append(sweep.one(i, plan))
        print(json.dumps(rows[-1]), flush=True)
    kills, equal = sum(r['kills'] for r in rows), sum(r['equal'] for r in rows)
    print(json.dumps({**about, 'folders': len(rows), 'kills': kills, 'equal': equal,
                      'longest': max([0.0, *(x for r in rows for x in r['end'])]),
                      'minutes': round((time.time() - begin)/60, 1)}), flush=True)
    return 0 if equal == len(rows) else 1


if __name__ == '__main__': sys.exit(main())
