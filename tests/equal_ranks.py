"""Runs the same settings in one process and on 8 in several layouts; prints the largest differences of the weights as JSON lines.

usage: equal_ranks.py FOLDER [RANKS]
"""
import json, sys
from pathlib import Path

import torch
torch.set_num_threads(1)
import transformers.generation.utils  # noqa: imported lazily otherwise, in every rank anew
import transformers.models.qwen3.modeling_qwen3, torch.distributed.fsdp, torch.distributed.tensor, scipy.stats  # noqa
from safetensors.torch import load_file
from mot_nb.scale.mesh import connect
from mot_nb.methods.rounds import load_settings, run
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.files import read_lines
from mot_nb.student.weights import student_state
from mot_nb.student.students import load_student
import ranks

folder, N = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8
teachers = ['plain', 'verbose', 'foreign', 'checker']


def settings(K, layout, lora='', **more):
    "Every method, students kept. eps: with 1e-8, a weight whose gradient is rounding noise is moved by up to lr, in a direction nobody knows (1.3e-5 seen on one weight of 26,272)."
    return load_settings({'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': teachers[:K], 'n_train': 16, 'n_heldout': 6},
                          'train': {'lr': 1e-4, 'steps': 2, 'batch': 10, 'eps': 1e-6, 'compute': 'float32', 'micro_tokens': 128, **({'lora_rank': 2, 'lora_merge': lora, 'lr': 3e-3} if lora else {})}, 'rounds': {'rounds': 2, 'keep': 'merged', 'layout': layout},
                          'eval': {'max_new_tokens': 16, 'loss_rows': 8, 'batch': 2}, **more})


cases = [(4, 'parallel', ''), (4, 'serial', ''), (3, 'parallel', ''), (3, 'serial', ''), (3, 'parallel', 'residual'), (4, 'auto', '')]   # 3 branches do not divide 8 ranks: 2 groups in 2 turns, or 1 group; the last is the first once more
base = student_state(load_student('toy-tiny')[0])


def body(rank):
    "All cases in one process group."
    mesh = connect(lambda text: None, device='cpu')
    for i, (K, layout, lora) in enumerate(cases):
        mesh.layout = None
        run(settings(K, layout, lora), folder/f'{i}-{K}-{layout}', progress=False, mesh=mesh)
    return 0


pids = ranks.start(N, body)
for K, _, lora in dict.fromkeys((K, 'auto', lora) for K, _, lora in cases): run(settings(K, 'auto', lora), folder/f'one-{K}{lora}', progress=False, device='cpu')
codes, _ = ranks.wait(pids, 900)
assert codes == [0] * N, codes


def students(out): return {p.parent.name: load_file(p) for p in sorted(out.glob('students/*/model.safetensors'))}


for i, (K, layout, lora) in enumerate(cases):
    out, one = folder/f'{i}-{K}-{layout}', folder/f'one-{K}{lora}'
    a, b = students(one), students(out)
    assert a.keys() == b.keys(), (sorted(a), sorted(b))
    divided = json.loads((out/'manifest.json').read_text())['layout']
    rows, mine = ([{k: v for k, v in r.items() if k not in ('hash', 'value', 'lo', 'hi')} for r in read_lines(f/'metrics.jsonl')] for f in (one, out))
    assert rows == mine, 'the metrics are of other students, problems or samples'
    values = [max(abs(x['value'] - y['value']) for x, y in zip(read_lines(one/'metrics.jsonl'), read_lines(out/'metrics.jsonl')) if x['metric'] == m) for m in ('loss', 'accuracy')]
    print(json.dumps({'case': out.name, 'K': K, 'layout': layout, 'lora': lora, 'groups': divided['groups'], 'shards': divided['shards'], 'students': len(a), 'metrics': len(rows),
                      'largest': {n: max(float((a[n][t] - b[n][t]).abs().max()) for t in a[n]) for n in a}, 'moved': max(float((t - base[k]).abs().max()) for s in b.values() for k, t in s.items()), 'loss': values[0], 'accuracy': values[1],
                      'hash': hash_tensors({f'{n}.{t}': x for n, s in b.items() for t, x in s.items()})}), flush=True)
