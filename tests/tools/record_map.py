"""Makes a study of toy worlds unit by unit and writes the record: the map, or its worlds with other base students.

    python tests/tools/record_map.py WORK [--study map|abilities] [--seeds 0,1,2,3] [--jobs 1] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped. The record holds the seeds that are
whole.
"""
import argparse
import multiprocessing
import time
from functools import partial
from pathlib import Path

from mot_nb.core.files import append_line, read_lines
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import RECORDED, commit

FILES = {'map': 'toy', 'abilities': 'abilities'}    # study -> name of its record


def study_of(name):
    "(seeds -> units, unit -> rows, what the record says of the students) of a study."
    from mot_nb.analysis import abilities, world_map
    known = {'map': (world_map.map_units, world_map.map_rows, {'student': 'toy-tiny'}),
             'abilities': (abilities.ability_units, abilities.ability_rows, {'students': list(abilities.STUDENTS)})}
    return known[name]


def make(study, unit):
    "A unit's rows and the CPU seconds they took."
    import torch
    torch.set_num_threads(1)
    start = time.process_time()
    rows = study_of(study)[1](unit)
    return {'unit': unit.key, 'rows': rows, 'cpu': round(time.process_time() - start, 1)}


def missing(units, file):
    "Units that are not done yet."
    done = {r['unit'] for r in read_lines(file)} if file.exists() else set()
    return [u for u in units if u.key not in done]


def record(file, out, study, units, command):
    "Writes the seeds that are whole; returns how many units they are."
    done = {r['unit']: r for r in read_lines(file)}
    whole = [s for s in sorted({u.seed for u in units}) if all(u.key in done for u in units if u.seed == s)]
    kept = [done[u.key] for u in units if u.seed in whole]
    rows = [row for d in kept for row in d['rows']]
    hours = round(sum(d['cpu'] for d in kept)/3600, 2)
    settings = {**study_of(study)[2], 'seeds': whole, 'batch': 8, 'cpu_hours': hours}
    write_recorded(out, study, rows, commit=commit(), command=command, environment=environment(), settings=settings)
    return len(kept)


def asked():
    "What the command line asks for."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--study', choices=FILES, default='map')
    p.add_argument('--seeds', default='0,1,2,3')
    p.add_argument('--jobs', type=int, default=1)
    p.add_argument('--out', type=Path)
    return p.parse_args()


def main():
    a = asked()
    a.work.mkdir(parents=True, exist_ok=True)
    units, file = study_of(a.study)[0](tuple(map(int, a.seeds.split(',')))), a.work/'units.jsonl'
    todo, start = missing(units, file), time.monotonic()
    with multiprocessing.get_context('spawn').Pool(a.jobs) as pool:
        for i, made in enumerate(pool.imap_unordered(partial(make, a.study), todo), 1):
            append_line(file, made)
            left = (time.monotonic() - start) / i * (len(todo) - i) / 60
            print(f"{made['unit']}: {made['cpu']} CPU-s; {i} of {len(todo)}, {left:.0f} minutes left", flush=True)
    which = f' --study {a.study}' * (a.study != 'map')
    command = f'python tests/tools/record_map.py WORK{which} --seeds {a.seeds}'
    out = a.out or RECORDED/'map'/f'{FILES[a.study]}.jsonl'
    print(record(file, out, a.study, units, command), 'units recorded in', out)


if __name__ == '__main__': main()
