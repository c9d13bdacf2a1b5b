"""CPU time of many toy students as one stack beside the ordinary path, one after the other: training, answers, a round.

    python tests/tools/bench_stacked.py [REPEATS] [--record]

Both paths are measured in turn in one process, so that what else the machine does falls on both; a pause before each
lets other work have its share first. Printed for each part: the least and the median time of each path, and the ratio
within a repeat: its median and its range. `products` is what the matrix products of a step alone would take.
"""
import statistics, sys, time

import torch
from mot_nb.answers.sampling import answering, decode_batch
from mot_nb.answers.stacked_answers import decode_stacked
from mot_nb.core.machine import environment
from mot_nb.core.records import add_recorded
from mot_nb.core.settings import TrainSettings
from mot_nb.data.corpora import render_corpus, render_prompt
from mot_nb.data.toy import toy_corpora, toy_problems
from mot_nb.methods.playground import Playground, play_round
from mot_nb.methods.stacked_labs import Bench
from mot_nb.student.branch import Branch
from mot_nb.student.stacked import unflatten
from mot_nb.student.stacked_training import StackedBranch, train_stacked
from pages import RECORDED, commit

STEPS, LONGEST = 3, 60
TRAIN = TrainSettings(lr=2e-3, steps=STEPS, batch=16, compute='float32', weight_decay=.1)


class Work:
    "Six students and their teachers' rows; prompts for them."
    def __init__(self, traces=100, prompts=48):
        self.bench = Bench()
        self.start = self.bench.made[self.bench.base_key]
        corpora = toy_corpora(toy_problems(traces))
        self.rows = {t: render_corpus(c, self.bench.tokenizer, 512) for t, c in corpora.items()}
        asked = toy_problems(prompts, split='heldout')
        self.prompts = [render_prompt(p.question, self.bench.tokenizer) for p in asked]

    def train_ordinary(self):
        "Every student's steps by `Branch`."
        state = unflatten(self.bench.shape, self.start)
        for t, rows in self.rows.items():
            branch = Branch(self.bench.model, rows, TRAIN, STEPS, state=state, label=t)
            branch.train(STEPS)
            branch.close()

    def train_stacked(self):
        "The same steps in one stack."
        branches = [StackedBranch(self.start, r, TRAIN, STEPS, (STEPS,), label=t) for t, r in self.rows.items()]
        train_stacked(self.bench.shape, branches)

    def answer_ordinary(self):
        "Every student's answers by the ordinary loop."
        for _ in self.rows:
            with self.bench.answering(unflatten(self.bench.shape, self.start)) as model, answering(model):
                decode_batch(model, self.prompts, range(len(self.prompts)), self.bench.stop, [], max_new_tokens=LONGEST)

    def answer_stacked(self):
        "The same answers in one stack."
        decode_stacked(self.bench.shape, self.start.repeat(len(self.rows), 1), self.prompts, self.bench.stop, LONGEST)

    def products(self):
        "Milliseconds that the matrix products of a student-step take here at the speed of the widest one."
        tokens = sum(sum(map(len, r)) / len(r) for r in self.rows.values()) / len(self.rows) * TRAIN.batch
        w, x = torch.randn(6, 192, 32), torch.randn(6, 32, round(tokens))
        least = min(spent(lambda: torch.bmm(w, x)) for _ in range(20))
        return 6 * self.bench.shape.size * tokens / (2 * w.numel() * round(tokens) / least) * 1000


def spent(work):
    "CPU seconds of this process."
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turn(one, other, repeats, each):
    "Rows' fields: both paths measured in turn, in milliseconds for each of `each` units."
    one(), other()
    pairs = []
    for _ in range(repeats):
        time.sleep(.5)
        first = spent(one)
        time.sleep(.5)
        pairs.append((first * 1000 / each, spent(other) * 1000 / each))
    a, b = zip(*pairs)
    ratios = sorted(x / y for x, y in pairs)
    return {'ordinary_least': min(a), 'ordinary': statistics.median(a), 'stacked_least': min(b),
            'stacked': statistics.median(b), 'ratio': statistics.median(ratios), 'ratio_lo': ratios[0],
            'ratio_hi': ratios[-1], 'ratio_of_least': min(a) / min(b), 'n': repeats}


def round_of_playground(repeats):
    "Rows' fields: CPU milliseconds of one round with the dials as they stand first."
    play = Playground()
    took = [1000 * spent(lambda: play_round(play)) for _ in range(repeats)]
    return {'stacked_least': min(took), 'stacked': statistics.median(took), 'n': repeats}


def main(words): # [REPEATS] [--record]
    "Measures and prints every part; records it where asked to."
    torch.set_num_threads(1)
    repeats = int(next((w for w in words if w.isdigit()), 7))
    work = Work()
    students = len(work.rows)
    rows = [{'part': 'a student-step', **in_turn(work.train_ordinary, work.train_stacked, repeats, students * STEPS),
             'products': work.products()},
            {'part': 'an answer', **in_turn(work.answer_ordinary, work.answer_stacked, repeats,
                                            students * len(work.prompts))},
            {'part': 'a round of the playground', **round_of_playground(repeats)}]
    rows = [{k: round(v, 3) if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    for r in rows: print(r, flush=True)
    if '--record' not in words: return
    add_recorded(RECORDED/'speed'/'stacked.jsonl', 'stacked speed', [{**r, 'commit': commit()} for r in rows],
                 commit=commit(), command='python tests/tools/bench_stacked.py', environment=environment())


if __name__ == '__main__': main(sys.argv[1:])
