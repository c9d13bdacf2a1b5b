"""Takes what is known of every world of the map before training, and writes the record.

    python tests/tools/record_before.py WORK [--seeds 0,1,2,3] [--rows 32] [--out data/recorded/map/before.jsonl]

WORK: a folder that keeps what is done; the same command goes on where it stopped.
"""
import argparse
import time
from functools import lru_cache
from pathlib import Path

from mot_nb.core.files import append_line, read_lines
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import commit


@lru_cache(maxsize=2)
def bench(base):
    "The bench of a base student."
    from mot_nb.methods.stacked_labs import Bench
    return Bench('toy-tiny', base)


def take(unit, rows):
    "The features of a unit's worlds, each with the CPU seconds it took."
    import torch
    from mot_nb.analysis.before_training import world_features
    torch.set_num_threads(1)
    out = []
    for world in unit.worlds:
        start = time.process_time()
        found = world_features(bench(unit.seed % 2), world, unit.seed, rows)
        out.append({'unit': unit.key, **found, 'cpu': round(time.process_time() - start, 3)})
    return out


def main():
    from mot_nb.analysis.world_map import map_units
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--seeds', default='0,1,2,3')
    p.add_argument('--rows', type=int, default=32)
    p.add_argument('--out', type=Path, default=Path('data/recorded/map/before.jsonl'))
    asked = p.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    units, file = map_units(tuple(map(int, asked.seeds.split(',')))), asked.work/'before.jsonl'
    done = {r['unit'] for r in read_lines(file)} if file.exists() else set()
    for u in (u for u in units if u.key not in done):
        append_line(file, {'unit': u.key, 'rows': take(u, asked.rows)})
        print(u.key, flush=True)
    found = {r['unit']: r['rows'] for r in read_lines(file)}
    rows = [r for u in units for r in found[u.key]]
    settings = {'student': 'toy-tiny', 'rows': asked.rows, 'cpu_seconds': round(sum(r['cpu'] for r in rows), 1)}
    command = f'python tests/tools/record_before.py WORK --seeds {asked.seeds} --rows {asked.rows}'
    write_recorded(asked.out, 'before training', rows, commit=commit(), command=command, environment=environment(),
                   settings=settings)
    print(len(rows), 'worlds recorded in', asked.out)


if __name__ == '__main__': main()
