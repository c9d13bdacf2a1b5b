"""Times `make report` or `make test` in a fresh clone with an empty cache and adds a line to data/recorded/make.jsonl.

Memory is the largest sum over the target's processes (proportional set size, so shared pages count once), looked at every two seconds.
usage: python tests/tools/time_make.py report|test [FOLDER for the clone]
"""
import json, os, subprocess, sys, tempfile, time
from pathlib import Path

import psutil

from mot_nb.core.files import append_line
from mot_nb.core.machine import environment

ROOT = Path(__file__).resolve().parents[2]


def used(root):
    "Bytes held by a process and all below it."
    total = 0
    for p in [root, *root.children(recursive=True)]:
        try: total += p.memory_full_info().pss
        except psutil.Error: pass
    return total


def main(target, place):
    commit = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    clone, steps, peak = Path(place)/'clone', {}, 0
    subprocess.run(['git', 'clone', '-q', str(ROOT), str(clone)], check=True)
    env = {k: v for k, v in os.environ.items() if k not in ('VIRTUAL_ENV', 'PYTHONPATH')} | {'MOT_CACHE': str(Path(place)/'cache')}
    for step in ('setup', target):
        start = time.time()
        with open(Path(place)/f'{step}.log', 'w') as log: p = psutil.Popen(['make', step], cwd=clone, env=env, stdout=log, stderr=log)
        while p.poll() is None:
            peak = max(peak, used(p)); time.sleep(2)
        steps[step] = round(time.time() - start)
        if p.returncode: raise SystemExit(f'make {step} failed with {p.returncode}: see {place}/{step}.log')
    row = {'command': f'make {target}', 'commit': commit, 'setup_seconds': steps['setup'], 'seconds': steps[target], 'peak_memory': peak, 'load_after': os.getloadavg()[2], 'environment': environment()}
    append_line(ROOT/'data'/'recorded'/'make.jsonl', row)
    print(json.dumps(row))


if __name__ == '__main__': main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
