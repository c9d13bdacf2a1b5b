"""Makes the table of methods in toy worlds, one world and seed at a time, and writes the record.

    python tests/tools/record_methods.py WORK [--seeds 0,1,2,3,4,5,6,7] [--jobs 1] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped. The record holds the seeds that are
whole, and is written anew after each. FILE: data/recorded/methods/toy.jsonl.
"""
import argparse
import multiprocessing
import time
from pathlib import Path

from mot_nb.core.files import append_line, read_lines
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import commit


def make(unit):
    "A unit's rows and the CPU seconds they took."
    import torch
    from mot_nb.analysis.method_units import method_rows
    torch.set_num_threads(1)
    start = time.process_time()
    rows = method_rows(unit)
    return {'unit': unit.key, 'seed': unit.seed, 'rows': rows, 'cpu': round(time.process_time() - start, 1)}


def record(done, out, units, command):
    "Writes the seeds that are whole; returns how many units they are."
    from mot_nb.analysis.method_units import BATCH, ROUNDS, STEPS
    seeds = sorted({u.seed for u in units})
    whole = [s for s in seeds if all(u.key in done for u in units if u.seed == s)]
    kept = [done[u.key] for u in units if u.seed in whole]
    settings = {'student': 'toy-tiny', 'seeds': whole, 'rounds': ROUNDS, 'steps': STEPS, 'batch': BATCH,
                'cpu_seconds': round(sum(d['cpu'] for d in kept))}
    if kept:
        write_recorded(out, 'methods', [row for d in kept for row in d['rows']], commit=commit(), command=command,
                       environment=environment(), settings=settings)
    return len(kept)


def main():
    from mot_nb.analysis.method_units import method_units
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--seeds', default='0,1,2,3,4,5,6,7')
    p.add_argument('--jobs', type=int, default=1)
    p.add_argument('--out', type=Path, default=Path('data/recorded/methods/toy.jsonl'))
    asked = p.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    units, file = method_units(tuple(map(int, asked.seeds.split(',')))), asked.work/'units.jsonl'
    done = {r['unit']: r for r in read_lines(file)} if file.exists() else {}
    command = f'python tests/tools/record_methods.py WORK --seeds {asked.seeds}'
    with multiprocessing.get_context('spawn').Pool(asked.jobs) as pool:
        for made in pool.imap_unordered(make, [u for u in units if u.key not in done]):
            append_line(file, made)
            done[made['unit']] = made
            kept = record(done, asked.out, units, command)
            print(f"{made['unit']}: {made['cpu']} CPU-s; {len(done)} of {len(units)}, {kept} recorded", flush=True)
    print(record(done, asked.out, units, command), 'units recorded in', asked.out)


if __name__ == '__main__': main()
