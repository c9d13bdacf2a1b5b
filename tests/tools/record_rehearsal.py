"""Rehearses a round of the paper's students on 1 to 16 ranks and writes the record that stands beside the plan.

    python tests/tools/record_rehearsal.py WORK [--only qwen3-8b,...] [--ranks 1,4,8,16] [--out FILE]

WORK: a folder that keeps what is done; the same command goes on where it stopped. Each case is rehearsed with few
layers and stretched along a line; --full rehearses all layers of the cases it names (student/ranks/layout/lora).
"""
from dataclasses import asdict, replace

from mot_nb.core.machine import environment
from mot_nb.core.records import write_recorded
from mot_nb.methods.launch import named_settings
from mot_nb.scale.rehearsal import Case, rehearse_few, rehearse_here
from mot_nb.scale.shapes import shape_of
from pages import commit
from units import arguments, cpu_minutes, made_units, rows_of

STUDENTS = 'qwen3-8b', 'qwen3-14b', 'qwen3-30b-a3b'
LORA = 16
ATTENTION = 'q_proj', 'k_proj', 'v_proj', 'o_proj'
LAYOUTS = 'serial', '2 at a time', 'parallel'


def case_of(student, ranks, layout, lora):
    "The `Case` of a profile of the paper."
    s = named_settings(f'paper/{student}')
    K = len(s.data.teachers)
    groups = {'serial': 1, '2 at a time': min(2, ranks), 'parallel': min(K, ranks)}[layout]
    shape, train = shape_of(s.student.name), replace(s.train, lora_rank=lora)
    if shape.experts: train = replace(train, lora_targets=ATTENTION)      # its experts are no linear layers
    return Case(shape, ranks, groups, K, train)


def here(*cases):
    "What is rehearsed of each case, in this process."
    return [rehearse_here(c) for c in cases]


def make(student, ranks, layout, lora, full):
    "The row of one case."
    case = case_of(student, ranks, layout, lora)
    found = here(case)[0] if full else rehearse_few(case, by=here)
    return [{'student': student, 'layout': layout, 'case': asdict(case), **found}]


def units(asked):
    "The cases that are asked for, the most telling first."
    full = {tuple(f.split('/')) for f in asked.full.split(',') if f}
    out = []
    for n in map(int, asked.ranks.split(',')):
        for lora in (0, LORA):
            for layout in LAYOUTS[:3 if n > 2 else n]:
                out += [(s, n, layout, lora, (s, str(n), layout, str(lora)) in full) for s in asked.only.split(',')]
    return out


def main():
    p = arguments(__doc__, 'data/recorded/checks/rehearsal.jsonl')
    p.add_argument('--only', default=','.join(STUDENTS))
    p.add_argument('--ranks', default='8,1,4,16')
    p.add_argument('--full', default='', metavar='STUDENT/RANKS/LAYOUT/LORA,...')
    asked = p.parse_args()
    if wrong := set(asked.only.split(',')) - set(STUDENTS): p.error(f'unknown students: {sorted(wrong)}')
    found = made_units(make, units(asked), asked.work)
    write_recorded(asked.out, 'rehearsal', rows_of(found), commit=commit(), environment=environment(),
                   command='python tests/tools/record_rehearsal.py WORK',
                   settings={'cpu_minutes': cpu_minutes(found), 'lora_rank': LORA})
    print(len(found), 'cases recorded in', asked.out)


if __name__ == '__main__': main()
