"""Runs MoT with other parts in one process, on ranks, and on ranks again after a kill; prints differences as JSON.

usage: equal_parts.py FOLDER RANKS LAYOUT
"""
import json, shutil, sys
from pathlib import Path

import torch
torch.set_num_threads(1)
# once, for all ranks
import torch.distributed.fsdp, torch.distributed.tensor
import transformers.models.qwen3.modeling_qwen3  # noqa: F401
from safetensors.torch import load_file
from mot_nb.core.errors import MotError
from mot_nb.core.settings import load_settings
from mot_nb.methods.device import Device
from mot_nb.methods.lab import SeedLab
from mot_nb.methods.parts import OuterSGD
from mot_nb.methods.ranks import Ranks
from mot_nb.scale.mesh import choose_layout, connect
from mot_nb.student.students import load_student
import ranks

folder, N, layout = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SETTINGS = load_settings({
    'student': {'name': 'toy-tiny'}, 'eval': {'loss_rows': 4},
    'data': {'pool': 'toy', 'teachers': ['plain', 'verbose', 'foreign'], 'n_train': 12, 'n_heldout': 0},
    'train': {'lr': 1e-4, 'steps': 2, 'batch': 6, 'eps': 1e-6, 'compute': 'float32'},
    'rounds': {'rounds': 3, 'methods': ['mot'], 'keep': 'merged'}})


def one_more(t, teachers): return teachers[:t + 1]


def needs_all(base, states): return next(iter(states.values()))


PARTS = {'one_more': dict(introduce=one_more), 'ties': dict(merge='ties'), 'dare': dict(merge='dare'),
         'task_arithmetic': dict(merge='task_arithmetic'), 'nesterov': dict(outer=OuterSGD(.7, .9)),
         'curriculum': dict(rows='short_first'), 'mean': {}}


def carry_out(place, base, cut=None):
    "Every variation in a folder of its own; `cut`: resumed from the folders there, their ledgers cut in half."
    for name, parts in PARTS.items():
        out = base/name
        if cut is not None and place.writes:
            shutil.copytree(cut/name, out)
            lines = (out/'ledger.jsonl').read_text().splitlines(keepends=True)
            (out/'ledger.jsonl').write_text(''.join(lines[:len(lines)//2]))
        place.wait()
        lab = SeedLab(SETTINGS, out, 0, place)
        lab.ask('mot', **parts)
        lab.carry_out()


def body(rank):
    "One rank: all variations, once whole and once resumed; an operator that needs all branches is refused."
    mesh = connect(lambda text: None, device='cpu')
    place = Ranks(SETTINGS.student, SETTINGS.train, mesh, lambda model: choose_layout(3, N, layout))
    carry_out(place, folder/'ranks')
    carry_out(place, folder/'resumed', cut=folder/'ranks')
    lab = SeedLab(SETTINGS, folder/'refused', 0, place)
    try: lab.ask('mot', merge=needs_all)
    except MotError as e: return 0 if '@tensorwise' in str(e) else 2
    return 3


def students(where, name):
    "label -> weights of the students of a variation."
    files = sorted((folder/where/name/'students').glob('*/model.safetensors'))
    return {p.parent.name: load_file(p) for p in files}


def apart(a, b): return max(float((a[s][n] - b[s][n]).abs().max()) for s in a for n in a[s])


load_student('toy-tiny')
codes, _ = ranks.wait(ranks.start(N, body), 900)
assert codes == [0] * N, codes
carry_out(Device(SETTINGS.student, SETTINGS.train, 'cpu', say=lambda text: None), folder/'one')
for name in PARTS:
    one, many, resumed = (students(w, name) for w in ('one', 'ranks', 'resumed'))
    assert one.keys() == many.keys() == resumed.keys(), (sorted(one), sorted(many), sorted(resumed))
    row = {'part': name, 'students': sorted(one), 'apart': apart(one, many), 'resumed': apart(many, resumed)}
    print(json.dumps(row), flush=True)
