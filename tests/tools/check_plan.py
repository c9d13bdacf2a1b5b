"""Predictions of `mot plan` beside measurements of `Branch.train`, each case in fresh processes.

    python tests/tools/check_plan.py                        measure every case and print predicted, measured, ratio
    python tests/tools/check_plan.py --record COMMIT        the same, each case added to data/recorded/checks/plan.jsonl
    python tests/tools/check_plan.py --cases 0,2            only some of them
    python tests/tools/check_plan.py --show                 only the table of the recorded measurements

Memory is the largest resident set of the process (VmHWM), once as the C library has it, which keeps some of what was
freed, and once with everything freed given back at once (MALLOC_MMAP_THRESHOLD_). Time is the processor time of one
step, on one thread.
"""
import argparse, json, os, statistics, subprocess, sys
from dataclasses import asdict
from pathlib import Path

RECORD = Path(__file__).resolve().parents[2]/'data'/'recorded'/'checks'/'plan.jsonl'
COMMAND = 'python tests/tools/check_plan.py --record COMMIT'

CASES = [ # shape, checkpointing, lengths of the rows of a step, tokens computed at once
    ('toy-tiny', False, [60] * 64, 4096), ('toy-tiny', True, [60] * 64, 4096),
    ('mid', False, [128] * 8, 512), ('mid', True, [128] * 8, 512),
    ('smollm2-135m', False, [128] * 4, 256), ('smollm2-135m', True, [128] * 2, 256),
    ('wide', False, [128] * 8, 512), ('wide', True, [128] * 8, 512)]
PROMPT = 16 # tokens of each row that are not supervised


def shape(name):
    "The shape of a case: a known one, or a random Qwen3, 'mid' with a tied head and 'wide' with a head of its own."
    from mot_nb.scale.shapes import Shape, shape_of
    random = {'mid': Shape('mid', 8, 384, 6, 2, 64, 1152, 8192, tied=True),
              'wide': Shape('wide', 4, 768, 12, 4, 64, 2048, 16384)}
    return random[name] if name in random else shape_of(name)


def peak():
    "The largest resident set of this process so far, in bytes."
    status = Path('/proc/self/status').read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in status if line.startswith('VmHWM')))


def student_and_rows(s, lengths): # Shape
    "(a random student, random rows of these lengths)."
    import torch
    from transformers import AutoModelForCausalLM
    from mot_nb.data.corpora import Row
    from mot_nb.scale.shapes import config_of
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(s), attn_implementation='sdpa').float()
    tokens = [tuple(torch.randint(3, s.vocabulary, (n,)).tolist()) for n in lengths]
    return model, [Row(str(i), 'random', i, t, PROMPT) for i, t in enumerate(tokens)]


def train(case, steps=3):
    "Trains a random student of the case's shape; returns what it took, the first step left out of the times."
    import time
    from transformers import AutoModelForCausalLM  # noqa: F401  the libraries are counted apart
    from mot_nb.scale.rates import measure_rates
    from mot_nb.core.settings import TrainSettings
    from mot_nb.student.branch import Branch
    name, checkpointing, lengths, micro = case
    libraries, s = peak(), shape(name)
    rates = lambda: asdict(measure_rates(s, min(micro, sum(lengths)), lengths[0]))
    model, rows = student_and_rows(s, lengths)
    before, marks = rates() if steps > 2 else None, []
    settings = TrainSettings(batch=len(rows), micro_tokens=micro, compute='float32', checkpointing=checkpointing)
    branch = Branch(model, rows, settings, steps, on_step=lambda r: marks.append(time.process_time()))
    branch.train(steps)
    took = {'libraries': libraries, 'bytes': peak(), 'seconds': [b - a for a, b in zip(marks, marks[1:])]}
    if steps > 2:     # before and after: how fast a shared machine is changes between the two
        after = rates()
        took['rates'] = {k: (v + after[k]) / 2 if isinstance(v, float) else v for k, v in before.items()}
    return took


def train_giving_back(case):
    "Two steps: the peak is in the second."
    return train(case, 2)


def in_process(what, case, **env):
    "What a function gives in a fresh process on one thread."
    here = str(Path(__file__).parent)
    code = f'import sys\nsys.path.insert(0, {here!r})\nimport json, check_plan\n'
    code += f'print(json.dumps(check_plan.{what}({case!r})))'
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'OMP_WAIT_POLICY': 'PASSIVE', **env}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=env)
    if done.returncode: raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def measure(case):
    "One row of the record: rates, both memories, time of a step."
    got, tight = in_process('train', case), in_process('train_giving_back', case, MALLOC_MMAP_THRESHOLD_='65536')
    name, checkpointing, lengths, micro = case
    asked = {'student': name, 'checkpointing': checkpointing, 'lengths': lengths, 'prompt': PROMPT}
    return {'case': {**asked, 'micro_tokens': micro}, 'shape': asdict(shape(name)), 'rates': got['rates'],
            'bytes': tight['bytes'], 'bytes_as_is': got['bytes'], 'libraries': got['libraries'],
            'seconds': statistics.median(got['seconds']), 'all_seconds': got['seconds']}


def recorded_cases():
    "(how it was made, the measurements) of the recorded check."
    from mot_nb.core.records import read_recorded
    return read_recorded(RECORD, 'plan check')


def arguments():
    "The command line."
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('--show', action='store_true')
    p.add_argument('--record', metavar='COMMIT')
    p.add_argument('--cases', default=','.join(map(str, range(len(CASES)))))
    return p.parse_args()


def main(a):
    "Every case that is asked for."
    from mot_nb.core.machine import environment
    from mot_nb.core.records import add_recorded
    from mot_nb.scale.step_time import compare
    if a.show: return print(compare(recorded_cases()[1]))
    made = dict(commit=a.record, command=COMMAND, environment={**environment(), 'threads': 1})
    for i in map(int, a.cases.split(',')):
        row = measure(CASES[i])
        if a.record: add_recorded(RECORD, 'plan check', [row], **made)
        print(compare([row]), flush=True)


if __name__ == '__main__': main(arguments())
