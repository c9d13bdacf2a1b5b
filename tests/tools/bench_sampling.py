"""Tokens per CPU-second of mot_nb's decoding loop and of transformers' generate on one set of word problems, greedy, and whether the answers are equal.

Fine-tuned students answer about as long as their teacher, the base student does not: so each answer of SmolLM2 is made to end at the length of the teacher's
answer to that problem, in both engines alike. Usage: python tests/tools/bench_sampling.py TEACHER BATCH [BATCH ...]; one JSON line for each engine and batch.
"""
import json, sys, time
import torch
from mot_nb.answers import sampling
from mot_nb.data import words
from mot_nb.data.corpora import render_prompt
from mot_nb.core.machine import environment
from mot_nb.student.students import load_student

LONGEST, N = 128, 64

def forced(logits, rows, step, ends, stop):
    "Logits that let a row stop at its own length and nowhere else."
    logits = logits.clone()
    for j, i in enumerate(rows):
        if ends[i] == step + 1: logits[j] = -1e9; logits[j, stop] = 0
        else: logits[j, stop] = -1e9
    return logits

def by_generate(model, rows, ends, stop, prefix):
    from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
    L = max(map(len, rows))
    class Ends(LogitsProcessor):
        def __call__(self, ids, scores): return forced(scores, range(len(ends)), ids.shape[1] - L, ends, stop)
    out = model.generate(input_ids=torch.tensor([[stop]*(L - len(r)) + r for r in rows]), attention_mask=torch.tensor([[0]*(L - len(r)) + [1]*len(r) for r in rows]),
                         generation_config=GenerationConfig(do_sample=False, max_new_tokens=LONGEST, eos_token_id=stop, pad_token_id=stop), logits_processor=LogitsProcessorList([Ends()]))
    return [r[:r.index(stop) + 1] for r in out[:, L:].tolist()]

def by_loop(model, rows, ends, stop, prefix):
    choose, keys, now = sampling.choose, sampling.step_keys, {}
    def step_keys(live, step): now.update(rows=live, step=step); return [0]*len(live)       # a row's seed is its number here: who is still in the batch
    sampling.step_keys, sampling.choose = step_keys, lambda z, *_: choose(forced(z, now['rows'], now['step'], ends, stop))
    try:
        with sampling.answering(model): return sampling.decode_batch(model, rows, range(len(rows)), {stop}, list(range(len(rows))), 1., max_new_tokens=LONGEST, prefix=prefix)
    finally: sampling.choose, sampling.step_keys = choose, keys

if __name__ == '__main__':
    teacher, batches = sys.argv[1], list(map(int, sys.argv[2:]))
    torch.set_num_threads(1)
    model, tok = load_student('smollm2-135m')
    stop = tok.eos_token_id
    posed = [(render_prompt(p.problem.question + words.INSTRUCTION, tok), len(tok.encode(words.PROGRAM_TEACHERS[teacher](p))) + 1) for p in words.pose(words.TRAIN_TEMPLATES, N, 'train', 'bench', 0)]
    posed.sort(key=lambda x: -len(x[0]))
    n = sampling.shared_prefix([r for r, _ in posed])
    for batch in batches:
        answers = {}
        for engine, f in (('transformers generate', by_generate), ('mot_nb', by_loop)):
            cpu, wall, out = time.process_time(), time.time(), []
            with sampling.answering(model): prefix = (n, sampling.read_prefix(model, posed[0][0][:n]))
            for i in range(0, N, batch):
                rows, ends = zip(*posed[i:i + batch])
                out += f(model, list(rows), ends, stop, prefix)
            answers[engine], tokens = out, sum(map(len, out))
            cpu = time.process_time() - cpu
            print(json.dumps(dict(engine=engine, student='smollm2-135m', dtype='float32', teacher=teacher, batch=batch, prompts=N, tokens=tokens, cpu_s=round(cpu, 1), wall_s=round(time.time() - wall, 1),
                                  tokens_per_cpu_s=round(tokens/cpu, 1), equal=out == answers['transformers generate'], cpu=environment()['cpu'], threads=1,
                                  command=' '.join(['python', 'tests/tools/bench_sampling.py', *sys.argv[1:]]))), flush=True)
