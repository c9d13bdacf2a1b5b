"""Makes the table of methods in toy worlds, one world and seed at a time, and writes the record.

    python tests/tools/record_methods.py WORK [--worlds NAMES] [--seeds 0,1,2,3,4,5,6,7] [--jobs 1] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped, another one adds to it. NAMES: of
`WORLDS`, with semicolons between them; all by default. The record holds, of each world, the seeds up to the first that
is missing, and is written anew after each unit. FILE: data/recorded/methods/toy.jsonl.
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


def whole(done, worlds):
    "world -> its seeds from 0 up to the first that is missing."
    from mot_nb.analysis.method_units import MethodUnit
    seeds = {w: [] for w in worlds}
    for w in worlds:
        while MethodUnit(w, len(seeds[w])).key in done: seeds[w].append(len(seeds[w]))
    return {w: s for w, s in seeds.items() if s}


def record(done, out, command):
    "Writes what is done; returns how many units that is."
    from mot_nb.analysis.method_units import BATCH, ROUNDS, STEPS, WORLDS, MethodUnit
    seeds = whole(done, WORLDS)
    kept = [done[MethodUnit(w, s).key] for w in seeds for s in seeds[w]]
    settings = {'seeds': seeds, 'rounds': ROUNDS, 'steps': STEPS, 'batch': BATCH,
                'cpu_seconds': {w: round(sum(done[MethodUnit(w, s).key]['cpu'] for s in seeds[w])) for w in seeds}}
    if kept:
        write_recorded(out, 'methods', [row for d in kept for row in d['rows']], commit=commit(), command=command,
                       environment=environment(), settings=settings)
    return len(kept)


def arguments():
    "What the command line says."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--worlds', default='')
    p.add_argument('--seeds', default='0,1,2,3,4,5,6,7')
    p.add_argument('--jobs', type=int, default=1)
    p.add_argument('--out', type=Path, default=Path('data/recorded/methods/toy.jsonl'))
    return p.parse_args()


def main():
    from mot_nb.analysis.method_units import WORLDS, method_units
    asked = arguments()
    asked.work.mkdir(parents=True, exist_ok=True)
    units = method_units(tuple(map(int, asked.seeds.split(','))), asked.worlds.split(';') if asked.worlds else WORLDS)
    file = asked.work/'units.jsonl'
    done = {r['unit']: r for r in read_lines(file)} if file.exists() else {}
    command = f'python tests/tools/record_methods.py WORK --seeds {asked.seeds}'
    with multiprocessing.get_context('spawn').Pool(asked.jobs) as pool:
        for made in pool.imap_unordered(make, [u for u in units if u.key not in done]):
            append_line(file, made)
            done[made['unit']] = made
            kept = record(done, asked.out, command)
            print(f"{made['unit']}: {made['cpu']} CPU-s; {len(done)} made, {kept} recorded", flush=True)
    print(record(done, asked.out, command), 'units recorded in', asked.out)


if __name__ == '__main__': main()
