"""Makes the toy studies of claims 5, 9, 12 and 15 seed by seed and writes the record.

    python tests/tools/record_studies.py WORK [--seeds 0,1,2,3] [--studies nearness,peers] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped.
"""
import argparse
import time
from pathlib import Path

import torch

from mot_nb.analysis.claim_studies import CLAIM_STUDIES
from mot_nb.core.files import append_line, read_lines
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import commit


def make(study, seed):
    "A study's rows for a seed and the CPU seconds they took."
    start = time.process_time()
    rows = CLAIM_STUDIES[study](seed)
    return {'study': study, 'seed': seed, 'rows': rows, 'cpu': round(time.process_time() - start, 1)}


def record(file, out, command):
    "Writes what is done; returns how many units it is."
    done = sorted(read_lines(file), key=lambda d: (list(CLAIM_STUDIES).index(d['study']), d['seed']))
    rows = [row for d in done for row in d['rows']]
    seeds = {s: sorted(d['seed'] for d in done if d['study'] == s) for s in dict.fromkeys(d['study'] for d in done)}
    settings = {'student': 'toy-tiny', 'seeds': seeds, 'batch': 8, 'rounds': 5, 'steps': 12,
                'cpu_minutes': round(sum(d['cpu'] for d in done)/60, 1)}
    write_recorded(out, 'claim study', rows, commit=commit(), command=command, environment=environment(),
                   settings=settings)
    return len(done)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--seeds', default='0,1,2,3')
    p.add_argument('--studies', default=','.join(CLAIM_STUDIES))
    p.add_argument('--out', type=Path, default=Path('data/recorded/studies/toy.jsonl'))
    asked = p.parse_args()
    torch.set_num_threads(1)
    asked.work.mkdir(parents=True, exist_ok=True)
    file = asked.work/'units.jsonl'
    done = {(d['study'], d['seed']) for d in read_lines(file)} if file.exists() else set()
    todo = [(s, i) for i in map(int, asked.seeds.split(',')) for s in asked.studies.split(',') if (s, i) not in done]
    for i, unit in enumerate(todo, 1):
        made = make(*unit)
        append_line(file, made)
        print(f"{unit[0]}, seed {unit[1]}: {made['cpu']} CPU-s; {i} of {len(todo)}", flush=True)
    command = f'python tests/tools/record_studies.py WORK --seeds {asked.seeds}'
    print(record(file, asked.out, command), 'units recorded in', asked.out)


if __name__ == '__main__': main()
