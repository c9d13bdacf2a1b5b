"""Makes the study of five real teachers: losses on held-out traces of GSM8K solutions; records the run.

    python tests/tools/record_five_teachers.py WORK example_model_solutions.jsonl [--seeds 0,1,2]
                                               [--out data/recorded/scores/five-teachers.jsonl]

The file is that of openai/grade-school-math: the test questions of GSM8K with a human solution and those of four
models, each marked right or wrong. It is made into a pool in WORK/five, and stays there: nothing of it is recorded.
Held out are problems that all five solved. WORK/run holds the run: the same command resumes it, also after kill -9,
and the record is written anew after every seed.
"""
import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from mot_nb.core.hashes import derive_seed
from mot_nb.data.corpora import Corpus, Trace, write_corpus
from mot_nb.data.gsm import INSTRUCTION
from mot_nb.data.heldout_traces import HELDOUT_FOLDER
from mot_nb.data.problems import Problem, is_correct, write_problems
from mot_nb.methods.recorded import record_run
from pages import commit

HUMAN = 'human'
MODELS = {'175b_verification': '175b-verified', '175b_finetuning': '175b-finetuned', '6b_verification': '6b-verified',
          '6b_finetuning': '6b-finetuned'} # as the file calls them -> as the pool does
SETTINGS = ['name=five real teachers', 'student.name=smollm2-135m', 'data.pool=folder', 'data.path=five',
            'data.n_train=300', 'data.n_heldout=0', 'data.max_tokens=192', 'train.lr=1e-4', 'train.steps=3',
            'train.batch=4', 'train.compute=bfloat16', 'rounds.rounds=2', 'rounds.mtd_budgets=[depth,compute]',
            'rounds.branches=disk', 'rounds.keep=mot', 'eval.every_round=false', 'eval.loss_rows=8',
            'eval.heldout_loss=true', 'eval.n_heldout_traces=30']


def written(solution):
    "A solution as it is taught: without the calculator's marks, its last line 'Answer: N'."
    return re.sub(r'\s*A: (.*)$', r'\nAnswer: \1', re.sub(r'<<.*?>>', '', solution).strip())


def solutions(row): # of the file
    "Teacher -> text of its solution, of those that are right."
    texts = {HUMAN: row['ground_truth'], **{name: row[m]['solution'] for m, name in MODELS.items()
                                            if row[m]['is_correct']}}
    answer = row['ground_truth'].rpartition('A: ')[2].strip()
    return {t: said for t, text in texts.items() if is_correct(answer, said := written(text))}


def problems(file):
    "[(Problem, teacher -> text)] of the file, problems without an answer left out."
    rows = [json.loads(line) for line in Path(file).read_text(encoding='utf-8').splitlines()]
    found = [(Problem(f'gsm8k-{i}', r['question'].strip(), r['ground_truth'].rpartition('A: ')[2].strip(),
                      'GSM8K test'), solutions(r)) for i, r in enumerate(rows)]
    return [(p, by) for p, by in found if HUMAN in by]


def write_traces(folder, pairs):
    "Writes one corpus per teacher."
    for teacher in [HUMAN, *MODELS.values()]:
        traces = [Trace(p.id, teacher, p.question + INSTRUCTION, by[teacher], p.answer) for p, by in pairs
                  if teacher in by]
        write_corpus(folder/f'{teacher}.jsonl', Corpus(teacher, tuple(traces)))


def write_pool(folder, file, n=64): # where; the file; held-out problems
    "Writes the pool: held out are n problems all five solved, trained on are the others that two models solved."
    pairs = problems(file)
    everyone = [x for x in pairs if len(x[1]) == 1 + len(MODELS)]
    held = {p.id for p, _ in sorted(everyone, key=lambda x: derive_seed('five teachers', x[0].id))[:n]}
    out, train = [x for x in pairs if x[0].id in held], [x for x in pairs if x[0].id not in held and len(x[1]) > 2]
    for name, part in (('train', train), ('heldout', out)):
        write_problems(folder/f'problems_{name}.jsonl', [p for p, _ in part])
    write_traces(folder/'teachers', train)
    write_traces(folder/HELDOUT_FOLDER, out)


def run(asked, seeds):
    "One `mot run`, finished or gone on with, and recorded."
    words = [sys.executable, '-m', 'mot_nb', 'run', 'settings.yaml', *SETTINGS, f'seeds=[{",".join(map(str, seeds))}]',
             *asked.set, '--out', 'run']
    print(' '.join(words[2:]), flush=True)
    subprocess.run(words, check=True, env={**os.environ, 'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', '1')})
    record_run(Path('run'), asked.out, commit())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('file', type=Path)
    p.add_argument('--seeds', default='0,1,2')
    p.add_argument('--out', type=Path, default=Path('data/recorded/scores/five-teachers.jsonl'))
    p.add_argument('--set', nargs='*', default=[], metavar='key=value', help='settings to change, for a trial')
    asked = p.parse_args()
    asked.out, file, seeds = asked.out.resolve(), asked.file.resolve(), [int(s) for s in asked.seeds.split(',')]
    asked.work.mkdir(parents=True, exist_ok=True)
    os.chdir(asked.work)                                 # the record names no place of this machine
    if not Path('five').exists(): write_pool(Path('five'), file)
    Path('settings.yaml').write_text('notes: four models and a human, on problems of GSM8K\n')
    for i in range(len(seeds)): run(asked, seeds[:i + 1])


if __name__ == '__main__': main()
