"""Merges every subset of four toy teachers, seed by seed, and writes the record.

    python tests/tools/record_subsets.py WORK [--seeds 0,1,2,3,4,5] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped.
FILE: data/recorded/studies/subsets.jsonl.
"""
from mot_nb.analysis.teacher_subsets import ROLES, subset_rows
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import commit
from units import arguments, cpu_minutes, made_units, rows_of, seeds_of


def main():
    asked = arguments(__doc__, 'data/recorded/studies/subsets.jsonl', '0,1,2,3,4,5').parse_args()
    found = made_units(subset_rows, [(s,) for s in seeds_of(asked)], asked.work)
    settings = {'student': 'toy-tiny', 'bases': 4, 'parts': list(ROLES), 'rounds': 5, 'steps': 8, 'batch': 8,
                'seeds': seeds_of(asked), 'cpu_minutes': cpu_minutes(found)}
    write_recorded(asked.out, 'teacher subsets', rows_of(found), commit=commit(), environment=environment(),
                   command=f'python tests/tools/record_subsets.py WORK --seeds {asked.seeds}', settings=settings)
    print(len(found), 'seeds recorded in', asked.out)


if __name__ == '__main__': main()
