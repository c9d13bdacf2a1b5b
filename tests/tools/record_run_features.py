"""Takes what is known of SmolLM2's two arms on words before training, and writes the record.

    python tests/tools/record_run_features.py WORK [--rows 32] [--out data/recorded/map/before-words.jsonl]

One row for each arm of `record_words.py`: all its seeds learn from the same traces, in an order of their own, so one
seed is taken. WORK: the folder for the teachers who err. Minutes on one core.
"""
import argparse
import os
import time
from pathlib import Path

from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from mot_nb.core.settings import profile_settings
from pages import commit
from record_words import arm_settings

RUNS = {'words': 'clean', 'words-errors': 'errors'}


def take(settings, rows):
    "The features of one seed of a run, and the CPU seconds they took."
    from mot_nb.analysis.run_prediction import run_features
    start = time.process_time()
    found = run_features(settings, settings.seeds[0], rows)
    return {**found, 'cpu': round(time.process_time() - start, 1)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--rows', type=int, default=32)
    p.add_argument('--out', type=Path, default=Path('data/recorded/map/before-words.jsonl'))
    p.add_argument('--settings', default='long/words', help='whose student and sizes')
    asked = p.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    out, work = asked.out.resolve(), asked.work.resolve()
    os.chdir(work)
    arms = {name: profile_settings(*asked.settings.split('/'), arm_settings(arm, work)) for name, arm in RUNS.items()}
    rows = [{'run': name, **take(settings, asked.rows)} for name, settings in arms.items()]
    command = f'python tests/tools/record_run_features.py WORK --rows {asked.rows}'
    write_recorded(out, 'before training', rows, commit=commit(), command=command, environment=environment(),
                   settings={'student': arms['words'].student.name, 'rows': asked.rows})
    print(len(rows), 'runs recorded in', out)


if __name__ == '__main__': main()
