"""What test_engines.py starts in a process of its own: `answers FOLDER` compares vLLM with transformers and prints JSON; `wait FOLDER` starts an engine, prints its process id and waits to be killed."""
import json, sys, time
from pathlib import Path

import torch

torch.set_num_threads(1)
from mot_nb.answers.engines import VllmEngine, sample_with
from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_tensors
from mot_nb.answers.sampling import sample_problems
from mot_nb.student.models import byte_tokenizer, save_student, tiny_qwen3

what, place = sys.argv[1], Path(sys.argv[2])
tok = byte_tokenizer()
model = tiny_qwen3(len(tok), hidden=128, heads=2, seed=3)          # heads of 64, which vLLM's CPU attention knows
folder, h = save_student(place/'student', model, tok), hash_tensors(model.state_dict())
prompts = {f'p{i}': f'What is {i} + {i + 3}?' for i in range(8)}

if what == 'wait':
    from mot_nb.answers.vllm_process import VllmProcess
    class Told(VllmProcess):
        "Prints the process id before the engine is ready: it must end in every state."
        def send(self, **x): print(self.process.pid, flush=True); super().send(**x)
    Told(folder, 'float32', 256, 8, 1, 1)
    time.sleep(600)

result = {}
with VllmEngine(folder, tok, h, model=model, threads=1, memory=1) as e:
    for name, how in (('greedy', dict(k=1)), ('sampled', dict(k=3, temperature=1., seed=5)), ('nucleus', dict(k=2, temperature=.8, top_p=.9, top_k=40, seed=6))):
        how |= dict(max_new_tokens=12, batch=8)
        got, own = e.sample(prompts, place/f'{name}.jsonl', **how), sample_problems(model, tok, prompts, place/f'{name}-own.jsonl', h, **how)
        result[name] = [sum(a == b for p in prompts for a, b in zip(got[p], own[p])), sum(map(len, own.values()))]
    result['largest'], result['pid'] = e.canary.largest, e.process.process.pid
    lines = (place/'sampled.jsonl').read_bytes()
    (place/'sampled.jsonl').write_bytes(lines[:len(lines)//2])      # as a kill leaves it: the rest is made again, and comes out the same
    e.sample(prompts, place/'sampled.jsonl', k=3, temperature=1., seed=5, max_new_tokens=12, batch=8)
    result['goes on'] = sorted((place/'sampled.jsonl').read_bytes().splitlines()) == sorted(lines.splitlines())
    try: e.sample(prompts, place/'greedy-own.jsonl', max_new_tokens=12, batch=8); result['mixed'] = ''
    except MotError as x: result['mixed'] = str(x)
    with torch.no_grad(): model.model.layers[0].mlp.down_proj.weight.mul_(1.5)   # what the folder held before another checkpoint took its name
    try: e.check(); result['refused'] = ''
    except MotError as x: result['refused'] = str(x)
print(json.dumps(result))
