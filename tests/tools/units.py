"What scripts that record unit by unit share: what is done is kept, and the same command goes on where it stopped."
import argparse
import time
from pathlib import Path

from mot_nb.core.files import append_line, read_lines


def arguments(doc,   # of the script
              out,   # the record it writes
              seeds='0,1,2,3'): # by default
    "A parser with what every such script asks for: WORK, --seeds, --out."
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--seeds', default=seeds)
    p.add_argument('--out', type=Path, default=Path(out))
    return p


def seeds_of(asked): # the command line
    "[seed] that were asked for."
    return [int(s) for s in asked.seeds.split(',')]


def timed(make, *unit):
    "What `make` returns for a unit, and the CPU seconds it took."
    import torch
    torch.set_num_threads(1)
    start = time.process_time()
    rows = make(*unit)
    return {'unit': list(unit), 'rows': rows, 'cpu': round(time.process_time() - start, 1)}


def made_units(make,  # called with the parts of a unit, returns its rows
               units, # tuples that JSON can hold
               work): # folder that keeps what is done
    "unit -> {unit, rows, cpu} of every unit in order; what is done is read, the rest is made and kept one by one."
    work.mkdir(parents=True, exist_ok=True)
    file = work/'units.jsonl'
    done = {tuple(d['unit']): d for d in read_lines(file)} if file.exists() else {}
    todo = [u for u in units if u not in done]
    for i, unit in enumerate(todo, 1):
        done[unit] = timed(make, *unit)
        append_line(file, done[unit])
        print(f"{', '.join(map(str, unit))}: {done[unit]['cpu']} CPU-s; {i} of {len(todo)}", flush=True)
    return {u: done[u] for u in units}


def rows_of(found): # of `made_units`
    "All rows, in the order of the units."
    return [row for d in found.values() for row in d['rows']]


def cpu_minutes(found): # of `made_units`
    "CPU minutes of all units."
    return round(sum(d['cpu'] for d in found.values()) / 60, 1)
