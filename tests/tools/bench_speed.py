"""Runs nbs/reports/85_speed.ipynb at real size beside TRL and mergekit and prints its tables: `make bench`, 15 minutes.

    python tests/tools/bench_speed.py [NAME=VALUE ...]     parameters of the page, as JSON: repeats=1 'branches=[3]'
"""
import sys

import house
from pages import commit, parameters, run_page

REAL = dict(student='smollm2-135m', batch=8, steps=2, lr=1e-5, branches=[2, 3, 5], rounds=2, round_steps=3, repeats=3,
            run_repeats=1)


def main(words): # NAME=VALUE
    "The page with the peers of `make bench`."
    peers, out = house.ROOT/'.venv'/'peers'/'bin'/'python', house.ROOT/'reports'/'speed'
    said = [w for w in words if not w.startswith('peers=')]
    made = {'peers': str(peers) if peers.exists() else '', 'commit': commit(), 'record': str(out/'speed.jsonl'),
            'command': 'make bench' + (f" BENCH='{' '.join(said)}'" if said else '')}
    page = run_page('85_speed.ipynb', out/'85_speed.ipynb', {**REAL, **made, **parameters(words)})
    print(f'{page.relative_to(house.ROOT)} shows it with its figure; the numbers lie in reports/speed/speed.jsonl')


if __name__ == '__main__': main(sys.argv[1:])
