"""Runs the same settings in one process and on 8 in several layouts; prints the largest differences of the weights.

One JSON line per case. usage: python tests/tools/equal_ranks.py FOLDER [RANKS]
"""
import json, sys
from pathlib import Path

import torch
torch.set_num_threads(1)
# imported lazily otherwise, in every rank anew
import transformers.generation.utils, transformers.models.qwen3.modeling_qwen3  # noqa: F401
import torch.distributed.fsdp, torch.distributed.tensor, scipy.stats             # noqa: F401
from safetensors.torch import load_file
from mot_nb.core.files import read_lines
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.settings import load_settings
from mot_nb.methods.runs import run, seed_folder
from mot_nb.scale.mesh import connect
from mot_nb.student.students import load_student
from mot_nb.student.weights import student_state
import ranks

TEACHERS = ['plain', 'verbose', 'foreign', 'checker']
# K, layout, how adapters merge ('': full weights). 3 branches do not divide 8 ranks: 2 groups in 2 turns, or 1 group;
# the last case is the first once more
CASES = [(4, 'parallel', ''), (4, 'serial', ''), (3, 'parallel', ''), (3, 'serial', ''), (3, 'parallel', 'residual'),
         (4, 'auto', '')]


def settings(K, layout, lora=''):
    """Every method, students kept. eps: with 1e-8, a weight whose gradient is rounding noise is moved by up to lr, in a
    direction nobody knows (1.3e-5 seen on one weight of 26,272)."""
    train = {'lr': 1e-4, 'steps': 2, 'batch': 10, 'eps': 1e-6, 'compute': 'float32', 'micro_tokens': 128}
    if lora: train |= {'lora_rank': 2, 'lora_merge': lora, 'lr': 3e-3}
    return load_settings({'student': {'name': 'toy-tiny'}, 'train': train,
                          'data': {'pool': 'toy', 'teachers': TEACHERS[:K], 'n_train': 16, 'n_heldout': 6},
                          'rounds': {'rounds': 2, 'keep': 'merged', 'layout': layout},
                          'eval': {'max_new_tokens': 16, 'loss_rows': 8, 'batch': 2}})


def rank_body(folder):
    "What each rank does: all cases in one process group."
    def body(rank):
        mesh = connect(lambda text: None, device='cpu')
        for i, (K, layout, lora) in enumerate(CASES):
            mesh.layout = None
            run(settings(K, layout, lora), folder/f'{i}-{K}-{layout}', progress=False, mesh=mesh)
        return 0
    return body


def students(out):
    "label -> weights of the students a run kept."
    files = sorted(seed_folder(out, 0).glob('students/*/model.safetensors'))
    return {p.parent.name: load_file(p) for p in files}


def metrics(out):
    "The metrics of a run's one seed."
    return read_lines(seed_folder(out, 0)/'metrics.jsonl')


def largest_difference(a, b):
    "Between two state dicts, over all tensors."
    return max(float((a[t] - b[t]).abs().max()) for t in a)


def compare(out, one, base):
    "How far the students and metrics of several ranks are from those of one process; raises where they are of others."
    a, b, rows, mine = students(one), students(out), metrics(one), metrics(out)
    assert a.keys() == b.keys(), (sorted(a), sorted(b))
    who = lambda rows: [{k: v for k, v in r.items() if k not in ('hash', 'value', 'lo', 'hi')} for r in rows]
    assert who(rows) == who(mine), 'the metrics are of other students, problems or samples'
    off = lambda metric: max(abs(x['value'] - y['value']) for x, y in zip(rows, mine) if x['metric'] == metric)
    return {'students': len(a), 'metrics': len(rows), 'largest': {n: largest_difference(a[n], b[n]) for n in a},
            'moved': max(largest_difference(s, base) for s in b.values()), 'loss': off('loss'),
            'accuracy': off('accuracy'),
            'hash': hash_tensors({f'{n}.{t}': x for n, s in b.items() for t, x in s.items()})}


def main(folder, n):
    "All cases on `n` ranks and in one process, then their comparison."
    base = student_state(load_student('toy-tiny')[0])
    pids = ranks.start(n, rank_body(folder))
    for K, lora in dict.fromkeys((K, lora) for K, _, lora in CASES):
        run(settings(K, 'auto', lora), folder/f'one-{K}{lora}', progress=False, device='cpu')
    codes, _ = ranks.wait(pids, 900)
    assert codes == [0]*n, codes
    for i, (K, layout, lora) in enumerate(CASES):
        out = folder/f'{i}-{K}-{layout}'
        divided = json.loads((out/'manifest.json').read_text())['layout']
        case = {'case': out.name, 'K': K, 'layout': layout, 'lora': lora}
        case |= {k: divided[k] for k in ('groups', 'shards')} | compare(out, folder/f'one-{K}{lora}', base)
        print(json.dumps(case), flush=True)


if __name__ == '__main__': main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
