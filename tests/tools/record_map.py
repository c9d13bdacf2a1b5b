"""Makes the map of toy worlds unit by unit and writes the record.

    python tests/tools/record_map.py WORK [--seeds 0,1,2,3] [--jobs 1] [--out data/recorded/map/toy.jsonl]

WORK: a folder that keeps what is done; the same command goes on where it stopped. The record holds the seeds that are
whole.
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
    from mot_nb.analysis.world_map import map_rows
    torch.set_num_threads(1)
    start = time.process_time()
    rows = map_rows(unit)
    return {'unit': unit.key, 'rows': rows, 'cpu': round(time.process_time() - start, 1)}


def missing(units, file):
    "Units that are not done yet."
    done = {r['unit'] for r in read_lines(file)} if file.exists() else set()
    return [u for u in units if u.key not in done]


def record(file, out, units, command):
    "Writes the seeds that are whole; returns how many units they are."
    done = {r['unit']: r for r in read_lines(file)}
    whole = [s for s in sorted({u.seed for u in units}) if all(u.key in done for u in units if u.seed == s)]
    kept = [done[u.key] for u in units if u.seed in whole]
    rows = [row for d in kept for row in d['rows']]
    hours = round(sum(d['cpu'] for d in kept)/3600, 2)
    settings = {'student': 'toy-tiny', 'seeds': whole, 'batch': 8, 'cpu_hours': hours}
    write_recorded(out, 'map', rows, commit=commit(), command=command, environment=environment(), settings=settings)
    return len(kept)


def main():
    from mot_nb.analysis.world_map import map_units
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--seeds', default='0,1,2,3')
    p.add_argument('--jobs', type=int, default=1)
    p.add_argument('--out', type=Path, default=Path('data/recorded/map/toy.jsonl'))
    asked = p.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    units, file = map_units(tuple(map(int, asked.seeds.split(',')))), asked.work/'units.jsonl'
    todo, start = missing(units, file), time.monotonic()
    with multiprocessing.get_context('spawn').Pool(asked.jobs) as pool:
        for i, made in enumerate(pool.imap_unordered(make, todo), 1):
            append_line(file, made)
            left = (time.monotonic() - start) / i * (len(todo) - i) / 60
            print(f"{made['unit']}: {made['cpu']} CPU-s; {i} of {len(todo)}, {left:.0f} minutes left", flush=True)
    command = f'python tests/tools/record_map.py WORK --seeds {asked.seeds}'
    print(record(file, asked.out, units, command), 'units recorded in', asked.out)


if __name__ == '__main__': main()
