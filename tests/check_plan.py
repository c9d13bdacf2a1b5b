"""Predictions of `mot plan` beside measurements of `Branch.train`, each case in fresh processes.

    python tests/check_plan.py                        measure every case and print predicted, measured, ratio
    python tests/check_plan.py --record COMMIT        the same, and write data/recorded/plan_check.jsonl
    python tests/check_plan.py --show                 only the table of the recorded measurements

Memory is the largest resident set of the process (VmHWM), once as the C library has it, which keeps some of what was freed, and once with everything
freed given back at once (MALLOC_MMAP_THRESHOLD_). Time is the processor time of one step, on one thread.
"""
import json, os, statistics, subprocess, sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT/'data'/'recorded'/'plan_check.jsonl'

CASES = [ # shape, checkpointing, lengths of the rows of a step, tokens computed at once
    ('toy-tiny', False, [60] * 64, 4096), ('toy-tiny', True, [60] * 64, 4096), ('mid', False, [128] * 8, 512), ('mid', True, [128] * 8, 512),
    ('smollm2-135m', False, [128] * 4, 256), ('smollm2-135m', True, [128] * 2, 256)]
PROMPT = 16 # tokens of each row that are not supervised


def shape(name):
    "The shape of a case: a known one, or 'mid', a random Qwen3 between the toy and the language model."
    from mot_nb.estimate import Shape, shape_of
    return Shape('mid', 8, 384, 6, 2, 64, 1152, 8192, tied=True) if name == 'mid' else shape_of(name)


def peak():
    "The largest resident set of this process so far, in bytes."
    return 1024 * int(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))


def train(case, steps=3):
    "Trains a random student of the case's shape; returns what it took, the first step left out of the times."
    import time, torch
    from transformers import AutoModelForCausalLM
    from mot_nb.estimate import config_of
    from mot_nb.corpora import Row
    from mot_nb.run import TrainSettings
    from mot_nb.sft import Branch
    name, checkpointing, lengths, micro = case
    libraries = peak()
    torch.manual_seed(0)
    s = shape(name)
    model = AutoModelForCausalLM.from_config(config_of(s), attn_implementation='sdpa').float()
    rows = [Row(str(i), 'random', i, tuple(torch.randint(3, s.vocabulary, (n,)).tolist()), PROMPT) for i, n in enumerate(lengths)]
    seconds, marks = [], [0.]
    branch = Branch(model, rows, TrainSettings(batch=len(rows), micro_tokens=micro, compute='float32', checkpointing=checkpointing), steps, on_step=lambda r: (seconds.append(time.process_time() - marks[-1]), marks.append(time.process_time())))
    marks[0] = time.process_time()
    branch.train(steps)
    return {'libraries': libraries, 'bytes': peak(), 'seconds': seconds[1:]}


def rates(case):
    "The rates of this machine at the case's shape."
    from mot_nb.estimate import measure_rates
    name, _, lengths, micro = case
    return asdict(measure_rates(shape(name), min(micro, sum(lengths)), lengths[0]))


def train_giving_back(case):
    "Two steps: the peak is in the second."
    return train(case, 2)


def in_process(what, case, **env):
    "What a function gives in a fresh process on one thread."
    code = f'import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import json, check_plan; print(json.dumps(check_plan.{what}({case!r})))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1', 'OMP_WAIT_POLICY': 'PASSIVE', **env})
    if done.returncode: raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def measure(case):
    "One line of the record: rates before and after, both memories, time of a step."
    before, got, after = in_process('rates', case), in_process('train', case), in_process('rates', case)
    tight = in_process('train_giving_back', case, MALLOC_MMAP_THRESHOLD_='65536')
    mean = {k: (v + after[k]) / 2 if isinstance(v, float) else v for k, v in before.items()}
    name, checkpointing, lengths, micro = case
    return {'case': {'student': name, 'checkpointing': checkpointing, 'lengths': lengths, 'prompt': PROMPT, 'micro_tokens': micro}, 'shape': asdict(shape(name)), 'rates': mean, 'bytes': tight['bytes'], 'bytes_as_is': got['bytes'], 'libraries': got['libraries'], 'seconds': statistics.median(got['seconds']), 'all_seconds': got['seconds']}


def recorded():
    "(how it was made, the measurements) of the recorded check."
    head, *rows = [json.loads(l) for l in RECORD.read_text().splitlines()]
    return head, rows


if __name__ == '__main__':
    sys.path.insert(0, str(ROOT))
    from mot_nb.estimate import compare
    if sys.argv[1:] == ['--show']: print(compare(recorded()[1])); sys.exit()
    rows = []
    for case in CASES:
        rows.append(measure(case))
        print(compare(rows[-1:]), flush=True)
    print(compare(rows))
    if sys.argv[1:2] == ['--record']:
        from mot_nb.run import environment
        head = {'kind': 'plan check', 'commit': sys.argv[2], 'command': 'python tests/check_plan.py --record COMMIT', 'environment': {**environment(), 'threads': 1}}
        RECORD.write_text(''.join(json.dumps(r) + '\n' for r in [head, *rows]))
