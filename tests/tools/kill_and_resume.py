"""Runs a small MoT run, kills it at random moments and resumes it; prints the hashes as JSON.

A script of its own so that torch is imported once and every attempt is a fork of a process that has not computed yet.
usage: python tests/tools/kill_and_resume.py FOLDER KILLS SEED
"""
import json, os, random, signal, sys, time
from pathlib import Path

import torch
torch.set_num_threads(1)
import transformers.generation.utils  # noqa: F401  imported lazily otherwise, in every attempt anew
from mot_nb.core.settings import load_settings
from mot_nb.methods.runs import run, seed_folder
from mot_nb.student.students import load_student

SETTINGS = {'student': {'name': 'toy-tiny'},
            'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 12, 'n_heldout': 8},
            'train': {'lr': 1e-3, 'steps': 3, 'batch': 4, 'compute': 'float32', 'checkpoint_every': 2,
                      'optimiser_state': 'kept'},
            'rounds': {'rounds': 2, 'mtd_budgets': ['depth']},
            'eval': {'max_new_tokens': 24, 'loss_rows': 4, 'batch': 3}}


def attempt(out, seconds, branches='disk'):
    "Starts the run in a forked process and kills it after so many seconds; True when it finished before."
    pid = os.fork()
    if pid == 0:
        try: run(load_settings(SETTINGS, [f'rounds.branches={branches}']), out, progress=False)
        except BaseException as e:
            print(repr(e), file=sys.stderr)
            os._exit(1)
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


def result_of(out):
    "The hash of a finished run."
    return run(SETTINGS, out, progress=False).hash


def stages_in(out):
    "How many stages the ledger holds."
    ledger = seed_folder(out, 0)/'ledger.jsonl'
    return ledger.read_bytes().count(b'\n') if ledger.exists() else 0


def left_over(out):
    "Half-written files, and the folder of work that a finished run removes."
    return [str(p) for p in out.rglob('.*') if p.name.endswith(('.part', '.old'))] + [str(p) for p in out.rglob('work')]


def main(folder, kills, seed):
    "Kills until there were so many; the summary."
    load_student('toy-tiny')
    assert attempt(folder/'first', 600)
    start = time.time()
    assert attempt(folder/'whole', 600)
    seconds, rng, n = time.time() - start, random.Random(seed), 0
    result = {'kills': 0, 'whole': result_of(folder/'whole'), 'resumed': [result_of(folder/'first')],
              'seconds': round(seconds, 2), 'stages': []}
    while result['kills'] < kills:
        out, n = folder/f'killed-{n}', n + 1
        def again():
            wait = rng.uniform(.1, .9)*seconds if result['kills'] < kills else 600
            return attempt(out, wait, 'disk' if n % 2 else 'memory')
        while not again():
            result['kills'] += 1
            result['stages'].append(stages_in(out))
        result['resumed'].append(result_of(out))
        assert not left_over(out), left_over(out)
    return result


if __name__ == '__main__': print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
