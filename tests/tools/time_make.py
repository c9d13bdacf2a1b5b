"""Times `make report` or `make test` in a fresh clone with an empty cache.

The row is added to data/recorded/checks/make.jsonl. Memory is the largest sum over the target's processes (proportional
set size, so shared pages count once), looked at every two seconds.
usage: python tests/tools/time_make.py report|test [FOLDER for the clone]
"""
import contextlib, json, os, subprocess, sys, tempfile, time
from pathlib import Path

import psutil

import house
from mot_nb.core.machine import environment
from mot_nb.core.records import add_recorded
from pages import RECORDED, git

COMMAND = '; '.join(f'python tests/tools/time_make.py {target}' for target in ('report', 'test'))


def used(root): # psutil.Process
    "Bytes held by a process and all below it."
    total = 0
    for p in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.Error): total += p.memory_full_info().pss
    return total


def watched(target, clone, place):
    "(seconds, largest memory) of one make target in the clone, with a cache of its own."
    env = {k: v for k, v in os.environ.items() if k not in ('VIRTUAL_ENV', 'PYTHONPATH')}
    start, peak = time.time(), 0
    with open(place/f'{target}.log', 'w') as log:
        p = psutil.Popen(['make', target], cwd=clone, env={**env, 'MOT_CACHE': str(place/'cache')}, stdout=log,
                         stderr=log)
    while p.poll() is None:
        peak = max(peak, used(p))
        time.sleep(2)
    if p.returncode: raise SystemExit(f'make {target} failed with {p.returncode}: see {place}/{target}.log')
    return round(time.time() - start), peak


def main(target, place):
    "Set-up and target, timed; the row is printed and recorded."
    clone = place/'clone'
    subprocess.run(['git', 'clone', '-q', str(house.ROOT), str(clone)], check=True)
    setup, first = watched('setup', clone, place)
    seconds, second = watched(target, clone, place)
    row = {'command': f'make {target}', 'commit': git('rev-parse', 'HEAD'), 'setup_seconds': setup, 'seconds': seconds,
           'peak_memory': max(first, second), 'load_after': os.getloadavg()[2], 'environment': environment()}
    add_recorded(RECORDED/'checks'/'make.jsonl', 'make', [row], command=COMMAND, environment=row['environment'])
    print(json.dumps(row))


if __name__ == '__main__': main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()))
