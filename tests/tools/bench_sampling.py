"""Tokens per CPU-second of mot_nb's decoding loop and of transformers' generate on one set of word problems, greedy.

    python tests/tools/bench_sampling.py TEACHER BATCH [BATCH ...] [--record FILE]

One row for each engine and batch, printed as JSON, and whether the answers are equal. Fine-tuned students answer about
as long as their teacher, the base student does not: so each answer of SmolLM2 is made to end at the length of the
teacher's answer to that problem, in both engines alike.
"""
import argparse, json, time

import torch
from mot_nb.answers import sampling
from mot_nb.core.machine import environment
from mot_nb.core.records import add_recorded
from mot_nb.data import words
from mot_nb.data.corpora import render_prompt
from mot_nb.student.students import load_student
from pages import commit

STUDENT, LONGEST, N = 'smollm2-135m', 128, 64


def forced(logits, rows, step, ends, stop):
    "Logits that let a row stop at its own length and nowhere else."
    logits = logits.clone()
    for j, i in enumerate(rows):
        if ends[i] == step + 1: logits[j] = -1e9
        logits[j, stop] = 0 if ends[i] == step + 1 else -1e9
    return logits


def by_generate(model, rows, ends, stop, prefix):
    "Answers of transformers' generate."
    from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
    L = max(map(len, rows))
    class Ends(LogitsProcessor):
        def __call__(self, ids, scores): return forced(scores, range(len(ends)), ids.shape[1] - L, ends, stop)
    how = GenerationConfig(do_sample=False, max_new_tokens=LONGEST, eos_token_id=stop, pad_token_id=stop)
    out = model.generate(input_ids=torch.tensor([[stop]*(L - len(r)) + r for r in rows]),
                         attention_mask=torch.tensor([[0]*(L - len(r)) + [1]*len(r) for r in rows]),
                         generation_config=how, logits_processor=LogitsProcessorList([Ends()]))
    return [r[:r.index(stop) + 1] for r in out[:, L:].tolist()]


def by_loop(model, rows, ends, stop, prefix):
    "Answers of this library's loop."
    choose, keys, now = sampling.choose, sampling.step_keys, {}
    def step_keys(live, step):   # a row's seed is its number here: who is still in the batch
        now.update(rows=live, step=step)
        return [0]*len(live)
    sampling.step_keys = step_keys
    sampling.choose = lambda z, *_: choose(forced(z, now['rows'], now['step'], ends, stop))
    try:
        with sampling.answering(model):
            return sampling.decode_batch(model, rows, range(len(rows)), {stop}, list(range(len(rows))), 1.,
                                         max_new_tokens=LONGEST, prefix=prefix)
    finally: sampling.choose, sampling.step_keys = choose, keys


def posed(tok, teacher):
    "[(prompt's ids, tokens of the teacher's answer)], longest prompt first."
    problems = words.pose(words.TRAIN_TEMPLATES, N, 'train', 'bench', 0)
    length = lambda p: len(tok.encode(words.PROGRAM_TEACHERS[teacher](p))) + 1
    rows = [(render_prompt(p.problem.question + words.INSTRUCTION, tok), length(p)) for p in problems]
    return sorted(rows, key=lambda x: -len(x[0]))


def timed(f, model, asked, batch, stop):
    "(answers, CPU-seconds, seconds) of one engine."
    n = sampling.shared_prefix([r for r, _ in asked])
    cpu, wall, out = time.process_time(), time.time(), []
    with sampling.answering(model): prefix = (n, sampling.read_prefix(model, asked[0][0][:n]))
    for i in range(0, N, batch):
        rows, ends = zip(*asked[i:i + batch])
        out += f(model, list(rows), ends, stop, prefix)
    return out, time.process_time() - cpu, time.time() - wall


def rows_of(model, tok, teacher, batch):
    "One row an engine."
    asked, first = posed(tok, teacher), None
    for engine, f in (('transformers generate', by_generate), ('mot_nb', by_loop)):
        out, cpu, wall = timed(f, model, asked, batch, tok.eos_token_id)
        first, tokens = first or out, sum(map(len, out))
        yield dict(engine=engine, student=STUDENT, dtype='float32', teacher=teacher, batch=batch, prompts=N,
                   tokens=tokens, cpu_s=round(cpu, 1), wall_s=round(wall, 1), tokens_per_cpu_s=round(tokens/cpu, 1),
                   equal=out == first, cpu=environment()['cpu'], threads=1)


def main():
    "Every batch; the rows are printed, and recorded where a file is named."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('teacher')
    p.add_argument('batches', nargs='+', type=int)
    p.add_argument('--record', metavar='FILE')
    a = p.parse_args()
    torch.set_num_threads(1)
    command = ' '.join(['python tests/tools/bench_sampling.py', a.teacher, *map(str, a.batches)])
    made = dict(commit=commit(), command=command, environment={**environment(), 'threads': 1})
    for batch in a.batches:
        for row in rows_of(*load_student(STUDENT), a.teacher, batch):
            print(json.dumps(row), flush=True)
            if a.record: add_recorded(a.record, 'sampling speed', [row], **made)


if __name__ == '__main__': main()
