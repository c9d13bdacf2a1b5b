"""Makes again the regimes in which an independent implementation found that merging wins or loses.

    python tests/tools/record_audit.py WORK [--seeds 100,101,102,103,104,105] [--n 200] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped. FILE: data/recorded/map/audit.jsonl.
"""
import argparse
import time
from pathlib import Path

from mot_nb.core.files import append_line, read_lines
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import commit


def main():
    import torch
    from mot_nb.analysis.winning_regimes import REGIMES, regime_rows
    torch.set_num_threads(1)
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--seeds', default='100,101,102,103,104,105')
    p.add_argument('--n', type=int, default=200)
    p.add_argument('--out', type=Path, default=Path('data/recorded/map/audit.jsonl'))
    asked = p.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    seeds, file = [int(s) for s in asked.seeds.split(',')], asked.work/'audit.jsonl'
    done = {(r['regime'], r['seed']) for r in read_lines(file)} if file.exists() else set()
    wanted = [(name, s) for s in seeds for name in REGIMES]
    for name, seed in (w for w in wanted if w not in done):
        start = time.process_time()
        row = regime_rows(name, seed, asked.n)
        append_line(file, {**row, 'cpu': round(time.process_time() - start, 1)})
        print(name, seed, {k: row[k][0] for k in ('mot', 'mtd compute', 'oneshot', 'base')}, flush=True)
    made = {(r['regime'], r['seed']): r for r in read_lines(file)}
    rows = [made[name, s] for name in REGIMES for s in seeds]
    settings = {'student': 'toy-tiny', 'seeds': seeds, 'batch': 8, 'cpu_seconds': round(sum(r['cpu'] for r in rows), 1)}
    command = f'python tests/tools/record_audit.py WORK --seeds {asked.seeds} --n {asked.n}'
    write_recorded(asked.out, 'map', rows, commit=commit(), command=command, environment=environment(),
                   settings=settings)
    print(len(rows), 'rows recorded in', asked.out)


if __name__ == '__main__': main()
