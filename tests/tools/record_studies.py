"""Makes the toy studies of claims 5, 9, 12 and 15 seed by seed and writes the record.

    python tests/tools/record_studies.py WORK [--seeds 0,1,2,3] [--studies nearness,peers] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped.
"""
from mot_nb.analysis.claim_studies import CLAIM_STUDIES
from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from pages import commit
from units import arguments, cpu_minutes, made_units, rows_of, seeds_of


def make(study, seed):
    "A study's rows for a seed."
    return CLAIM_STUDIES[study](seed)


def main():
    p = arguments(__doc__, 'data/recorded/studies/toy.jsonl')
    p.add_argument('--studies', default=','.join(CLAIM_STUDIES))
    asked = p.parse_args()
    if wrong := set(asked.studies.split(',')) - set(CLAIM_STUDIES): p.error(f'unknown studies: {sorted(wrong)}')
    studies = [s for s in CLAIM_STUDIES if s in asked.studies.split(',')]
    found = made_units(make, [(s, i) for s in studies for i in seeds_of(asked)], asked.work)
    settings = {'student': 'toy-tiny', 'seeds': {s: seeds_of(asked) for s in studies}, 'batch': 8, 'rounds': 5,
                'steps': 12, 'cpu_minutes': cpu_minutes(found)}
    command = f'python tests/tools/record_studies.py WORK --seeds {asked.seeds}'
    write_recorded(asked.out, 'claim study', rows_of(found), commit=commit(), command=command,
                   environment=environment(), settings=settings)
    print(len(found), 'units recorded in', asked.out)


if __name__ == '__main__': main()
