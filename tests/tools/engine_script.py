"""What test_engines.py starts in a process of its own.

`answers FOLDER` compares vLLM with transformers and prints JSON; `wait FOLDER` starts an engine, prints its process id
and waits to be killed.
"""
import json, sys, time
from pathlib import Path

import torch

torch.set_num_threads(1)
from mot_nb.answers.engines import VllmEngine
from mot_nb.answers.sampling import sample_problems
from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_tensors
from mot_nb.student.models import byte_tokenizer, save_student, tiny_qwen3

PROMPTS = {f'p{i}': f'What is {i} + {i + 3}?' for i in range(8)}
SHORT = dict(max_new_tokens=12, batch=8)
HOW = {'greedy': dict(k=1), 'sampled': dict(k=3, temperature=1., seed=5),
       'nucleus': dict(k=2, temperature=.8, top_p=.9, top_k=40, seed=6)}


def wait(folder):
    "Starts an engine and waits; its process id is printed before it is ready: it must end in every state."
    from mot_nb.answers.vllm_process import VllmProcess
    class Told(VllmProcess):
        def send(self, **x):
            print(self.process.pid, flush=True)
            super().send(**x)
    Told(folder, 'float32', 256, 8, 1, 1)
    time.sleep(600)


def refusal(f):
    "The text of the error a call raises; '' where it raises none."
    try: f()
    except MotError as x: return str(x)
    return ''


def answers(place, folder, model, tok, h):
    "Equal answers of each way of decoding, what a resumed file holds, and what is refused."
    out = {}
    with VllmEngine(folder, tok, h, model=model, threads=1, memory=1) as e:
        for name, how in HOW.items():
            got = e.sample(PROMPTS, place/f'{name}.jsonl', **how, **SHORT)
            own = sample_problems(model, tok, PROMPTS, place/f'{name}-own.jsonl', h, **how, **SHORT)
            out[name] = [sum(a == b for p in PROMPTS for a, b in zip(got[p], own[p])), sum(map(len, own.values()))]
        out['largest'], out['pid'] = e.canary.largest, e.process.process.pid
        lines = (place/'sampled.jsonl').read_bytes()
        (place/'sampled.jsonl').write_bytes(lines[:len(lines)//2])   # as a kill leaves it: the rest is made again
        e.sample(PROMPTS, place/'sampled.jsonl', **HOW['sampled'], **SHORT)
        out['goes on'] = sorted((place/'sampled.jsonl').read_bytes().splitlines()) == sorted(lines.splitlines())
        out['mixed'] = refusal(lambda: e.sample(PROMPTS, place/'greedy-own.jsonl', **SHORT))
        # the folder held these weights before another checkpoint took its name
        with torch.no_grad(): model.model.layers[0].mlp.down_proj.weight.mul_(1.5)
        out['refused'] = refusal(e.check)
    return out


def main(what, place):
    "One of the two jobs, with a tiny student."
    tok = byte_tokenizer()
    model = tiny_qwen3(len(tok), hidden=128, heads=2, seed=3)          # heads of 64, which vLLM's CPU attention knows
    folder, h = save_student(place/'student', model, tok), hash_tensors(model.state_dict())
    if what == 'wait': wait(folder)
    else: print(json.dumps(answers(place, folder, model, tok, h)))


if __name__ == '__main__': main(sys.argv[1], Path(sys.argv[2]))
