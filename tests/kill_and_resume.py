"""Runs a small MoT run, kills it at random moments and resumes it; prints the hashes as JSON.

A script of its own so that torch is imported once and every attempt is a fork of a process that has not computed yet.
usage: kill_and_resume.py FOLDER KILLS SEED
"""
import json, os, random, signal, sys, time
from pathlib import Path

import torch
torch.set_num_threads(1)
from mot_nb.methods.rounds import load_settings, run
from mot_nb.student.students import load_student
import transformers.generation.utils  # imported lazily otherwise, in every attempt anew

folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
settings = load_settings({
    'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 12, 'n_heldout': 8},
    'train': {'lr': 1e-3, 'steps': 3, 'batch': 4, 'compute': 'float32', 'checkpoint_every': 2, 'optimiser_state': 'kept'},
    'rounds': {'rounds': 2, 'mtd_budgets': ['depth']}, 'eval': {'max_new_tokens': 24, 'loss_rows': 4, 'batch': 3}})


def attempt(out, seconds, branches='disk'):
    "Starts the run in a forked process and kills it after so many seconds; True when it finished before."
    pid = os.fork()
    if pid == 0:
        try: run(load_settings(settings, [f'rounds.branches={branches}']), out, progress=False)
        except BaseException as e: print(repr(e), file=sys.stderr); os._exit(1)
        os._exit(0)
    end = time.time() + seconds
    while time.time() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, f'the run failed with status {status}'
            return True
        time.sleep(.002)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1] == 0


load_student('toy-tiny')
assert attempt(folder/'first', 600)
start = time.time()
assert attempt(folder/'whole', 600)
whole = time.time() - start
result = {'kills': 0, 'whole': run(settings, folder/'whole', progress=False).hash, 'resumed': [run(settings, folder/'first', progress=False).hash], 'seconds': round(whole, 2), 'stages': []}
rng, n = random.Random(seed), 0
while result['kills'] < kills:
    out, n = folder/f'killed-{n}', n + 1
    while not attempt(out, rng.uniform(.1, .9) * whole if result['kills'] < kills else 600, 'disk' if n % 2 else 'memory'):
        result['kills'] += 1
        ledger = out/'ledger.jsonl'
        result['stages'].append(ledger.read_bytes().count(b'\n') if ledger.exists() else 0)
    result['resumed'].append(run(settings, out, progress=False).hash)
    left = [str(p) for p in out.rglob('.*') if p.name.endswith(('.part', '.old'))]
    assert not left and not (out/'work').exists(), left
print(json.dumps(result))
