"""Makes the toy study of claims 10, 11 and 13 seed by seed and writes the record.

    python tests/tools/record_skills.py WORK [--seeds 0,1,2,3,4,5,6,7] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped.
FILE: data/recorded/studies/skills.jsonl.
"""
from mot_nb.analysis.skill_study import BASES, SKILL_RATES, SKILL_WORLD, skill_rows
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import commit
from units import arguments, cpu_minutes, made_units, rows_of, seeds_of


def main():
    asked = arguments(__doc__, 'data/recorded/studies/skills.jsonl', '0,1,2,3,4,5,6,7').parse_args()
    found = made_units(skill_rows, [(s,) for s in seeds_of(asked)], asked.work)
    settings = {'student': 'toy-tiny', 'bases': BASES, 'teachers': SKILL_WORLD.names, 'rates': SKILL_RATES, 'rounds': 5,
                'steps': 8, 'batch': 8, 'seeds': seeds_of(asked), 'cpu_minutes': cpu_minutes(found)}
    write_recorded(asked.out, 'skill study', rows_of(found), commit=commit(), environment=environment(),
                   command=f'python tests/tools/record_skills.py WORK --seeds {asked.seeds}', settings=settings)
    print(len(found), 'seeds recorded in', asked.out)


if __name__ == '__main__': main()
