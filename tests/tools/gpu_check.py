"""What to run when a GPU is at hand: 12 minutes on one H200, step by step, each with its own time and its own record.

    python tests/tools/gpu_check.py WORK                     all steps; those that WORK has done are skipped
    python tests/tools/gpu_check.py WORK --only full,plan    only some of them
    python tests/tools/gpu_check.py WORK --tiny              the same steps at tiny size, on a CPU too

WORK is a folder: one JSON a step, written whole when the step ends, so a check that was killed goes on where it was. A
step that fails, runs out of its time or finds no memory is noted with its reason, does not stop the others, and is
tried again by the next call. Results: data/recorded/checks/gpu.jsonl (at tiny size WORK/gpu.jsonl), or --record FILE.

Every step is a fork of a process that has imported the libraries and has not touched the GPU.
"""
import argparse, contextlib, gc, importlib.util, json, multiprocessing, os, sys, threading, time, traceback
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')      # asking for GPUs leaves the process fit to be forked
os.environ.setdefault('PYTORCH_CUDA_ALLOC_CONF', 'expandable_segments:True')
import torch
import transformers.generation.utils  # noqa: F401  imported lazily otherwise, in every step anew

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from mot_nb.core.files import data_folder, write_atomic
from mot_nb.core.machine import compute_device, environment
from mot_nb.core.records import write_recorded
from mot_nb.core.settings import TrainSettings
from mot_nb.data.corpora import Row
from mot_nb.scale.shapes import Shape, config_of, shape_of

BFLOAT16 = {'H200': 989e12, 'H100': 989e12, 'A100': 312e12, 'B200': 2250e12} # dense products a second (data sheets)


@dataclass(frozen=True)
class Size:
    "How large the steps are."
    shape: Shape     # of the student
    fewer: tuple     # numbers of layers to fall back on where all do not fit
    compute: str     # type of a branch's products
    rows: int        # of a step
    length: int      # tokens of each
    micro: int       # tokens computed at once
    steps: int       # the first is not counted
    merged: int      # numbers of each of three students in the merge
    directions: int  # of the sharpness
    looked_at: int   # rows whose confidence and loss are measured

REAL = Size(shape_of('Qwen3-8B'), (32, 28, 24, 16), 'bfloat16', 16, 2048, 8192, 4, 2 * 10**9, 2, 8)
TINY = Size(Shape('tiny', 2, 64, 4, 2, 16, 192, 259), (1,), 'float32', 4, 32, 64, 3, 10**5, 2, 2)


class LeftOut(Exception):
    "A step that has nothing to measure here, with the reason."


def sync(device):
    "Waits for the device."
    if device.type == 'cuda': torch.cuda.synchronize(device)


def spent(device, work):
    "Seconds that some work takes on the device."
    sync(device)
    start = time.perf_counter()
    work()
    sync(device)
    return time.perf_counter() - start


def peak(device):
    "{what: bytes} of this process at its worst so far."
    if device.type != 'cuda':
        lines = Path('/proc/self/status').read_text().splitlines()
        return {'peak': 1024 * int(next(l.split()[1] for l in lines if l.startswith('VmHWM')))}
    free, total = torch.cuda.mem_get_info(device)
    return {'peak': torch.cuda.max_memory_allocated(device), 'reserved': torch.cuda.max_memory_reserved(device),
            'context': total - free - torch.cuda.memory_reserved(device)}


def random_student(shape, device, dtype=torch.float32):
    "A student of this shape with random weights, made on the device."
    from transformers import AutoModelForCausalLM
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config_of(shape), dtype=dtype, attn_implementation='sdpa')
    return model.eval()


def random_rows(size, n):
    "Rows of random tokens, 16 of each (a quarter at most) not supervised."
    g, prompt = torch.Generator().manual_seed(0), min(16, size.length // 4)
    ids = torch.randint(3, size.shape.vocabulary, (n, size.length), generator=g).tolist()
    return [Row(str(i), 'random', i, tuple(r), prompt) for i, r in enumerate(ids)]


# the steps: each takes the size, the device and WORK, and returns a dict with the line to print as `says`

def check_equal(size, device, work):
    "Losses, a branch, a merge and confidence on the device beside those of the CPU, in float32."
    from mot_nb.analysis.confidence import row_confidence
    from mot_nb.data.corpora import render_corpus
    from mot_nb.data.toy import toy_corpora, toy_problems
    from mot_nb.student.branch import Branch
    from mot_nb.student.loss import row_losses
    from mot_nb.student.merge import merge_states
    from mot_nb.student.students import load_student
    from mot_nb.student.weights import student_state
    def measured(on):
        model, tokenizer = load_student('toy-tiny', device=on)
        rows = [r for c in toy_corpora(toy_problems(8)).values() for r in render_corpus(c, tokenizer, 512)]
        states = [student_state(load_student('toy-tiny', seed=s, device=on)[0]) for s in (0, 1, 2)]
        found = {'losses': [s for s, _ in row_losses(model, rows, 1024)],
                 'confidence': [float(x) for c, *_ in row_confidence(model, rows, 1024) for x in c],
                 'merge': torch.cat([t.cpu().flatten() for t in merge_states(states).values()]).tolist()}
        branch = Branch(model, rows, TrainSettings(batch=4, compute='float32', lr=1e-3), 3)
        return {**found, 'branch': [r['loss'] for r in branch.train(3)]}
    here, there = measured('cpu'), measured(device)
    apart = {k: max(abs(a - b) / max(1., abs(a)) for a, b in zip(v, there[k])) for k, v in here.items()}
    limits = {'losses': 1e-4, 'confidence': 1e-3, 'merge': 0., 'branch': 1e-3}
    far = [k for k, x in apart.items() if not x <= limits[k]]
    if far: raise AssertionError(f'{device} and the CPU differ in {", ".join(far)}: {apart}')
    return {'apart': apart, 'says': 'furthest apart: ' + ', '.join(f'{k} {x:.1e}' for k, x in apart.items())}


def most_layers(shape, numbers, device, train):
    "(layers, what `train` gave) of the first of these numbers of layers that has room."
    for layers in numbers:
        try: return layers, train(Shape(**{**vars(shape), 'layers': layers}))
        except torch.OutOfMemoryError as e: failed = str(e).split('.')[0]
        print(f'    {layers} layers have no room', flush=True)
        gc.collect()
        if device.type != 'cuda': continue
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    raise MemoryError(failed)


def trained(size, device, lora=0):
    "What some steps of a branch take, of the most layers that have room."
    from mot_nb.student.branch import Branch
    rows = random_rows(size, size.rows)
    settings = TrainSettings(batch=size.rows, micro_tokens=size.micro, compute=size.compute, lora_rank=lora,
                             checkpointing=True, steps=size.steps)
    def train(shape):
        marks = []
        def mark(record):
            sync(device)
            marks.append(time.perf_counter())
        branch = Branch(random_student(shape, device), rows, settings, size.steps, on_step=mark)
        return marks, [r['loss'] for r in branch.train(size.steps)]
    layers, (marks, losses) = most_layers(size.shape, (size.shape.layers, *size.fewer), device, train)
    return {'lengths': [size.length] * size.rows, 'prompt': rows[0].n_prompt, 'micro_tokens': size.micro,
            'compute': size.compute, 'lora_rank': lora, 'losses': losses, **speed(size, layers, marks, device)}


def speed(size, layers, marks, device):
    "Tokens and model operations per second between these moments, their share of the data sheet's, and the peak."
    from mot_nb.scale.flops import flops, load_of
    shape, rows = Shape(**{**vars(size.shape), 'layers': layers}), random_rows(size, size.rows)
    seconds, load = [b - a for a, b in zip(marks, marks[1:])], load_of(rows, size.rows)
    each = sum(seconds) / len(seconds)
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else ''
    most, rate = next((x for k, x in BFLOAT16.items() if k in name), None), flops(shape, load).total / each
    return {'layers': layers, 'tokens': load.tokens, 'seconds_of_steps': seconds,
            'tokens_per_second': load.tokens / each,
            'model_flops': rate, 'share': rate / most if most else None, **peak(device)}


def said(found):
    "Tokens, share and peak of a training in words."
    share = '' if found['share'] is None else f", {100*found['share']:.0f} % of the products the GPU can do"
    return (f"{found['tokens_per_second']:,.0f} tokens/s{share}, {found['layers']} layers, "
            f"peak {found['peak']/1e9:.1f} GB")


def check_full(size, device, work):
    "Full fine-tuning of the shape."
    found = trained(size, device)
    return {**found, 'goal': .5, 'reached': found['share'] is not None and found['share'] >= .5, 'says': said(found)}


def check_lora(size, device, work):
    "The same with LoRA adapters."
    found = trained(size, device, lora=32 if size is REAL else 4)
    return {**found, 'says': said(found)}


def check_trl(size, device, work):
    "TRL's trainer on the same rows, of as many layers as the step `full` had room for."
    if importlib.util.find_spec('trl') is None: raise LeftOut('TRL is not installed')
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer
    from mot_nb.student.models import byte_tokenizer
    full, narrow = done(work, 'full'), size.compute == 'bfloat16'
    labels = lambda r: [-100] * r.n_prompt + list(r.input_ids[r.n_prompt:])
    data = Dataset.from_list([{'input_ids': list(r.input_ids), 'labels': labels(r)}
                              for r in random_rows(size, size.rows * size.steps)])
    each = max(1, size.micro // size.length)
    args = SFTConfig(output_dir=str(work/'trl'), max_steps=size.steps, per_device_train_batch_size=each,
                     gradient_accumulation_steps=size.rows // each, gradient_checkpointing=True, bf16=narrow,
                     use_cpu=device.type == 'cpu', max_length=None, packing=False, save_strategy='no', seed=0,
                     logging_strategy='no', report_to=[], disable_tqdm=True)
    def train(shape):
        marks, callback = [], transformers.TrainerCallback()
        def mark(*args, **kwargs):
            sync(device)
            marks.append(time.perf_counter())
        callback.on_step_end = mark
        SFTTrainer(model=random_student(shape, device), args=args, train_dataset=data, callbacks=[callback],
                   processing_class=byte_tokenizer()).train()
        return marks
    most = full.get('layers', size.shape.layers)
    layers, marks = most_layers(size.shape, (most, *(n for n in size.fewer if n < most)), device, train)
    found = speed(size, layers, marks, device)
    ours = f"; ours {full['model_flops']/found['model_flops']:.2f} times its operations per second" if full else ''
    return {**found, 'says': said(found) + ours}


def check_merge(size, device, work):
    "The mean of three students beside a copy of as many bytes."
    from mot_nb.student.merge import merge_states
    block = min(size.merged, 2**26)
    make = lambda seed: {f'w{i}': torch.randn(min(block, size.merged - i), device=device) for i in
                         range(0, size.merged, block)}
    states = [make(s) for s in range(3)]
    merge_states(states)                                                             # the first one allocates
    seconds = min(spent(device, lambda: merge_states(states)) for _ in range(3))
    to = torch.empty(size.merged, device=device)
    source = torch.cat(list(states[0].values()))
    copy = min(spent(device, lambda: to.copy_(source)) for _ in range(3))
    rates = {'merge': 4 * 4 * size.merged / seconds, 'copy': 2 * 4 * size.merged / copy}
    return {'numbers': size.merged, 'students': 3, 'seconds_of_merge': seconds, 'bytes_per_second': rates,
            **peak(device),
            'says': f"{rates['merge']/1e9:,.1f} GB/s, {100*rates['merge']/rates['copy']:.0f} % of a copy's"}


SMALL = {'student': {'name': 'toy-tiny'}, 'eval': {'max_new_tokens': 8, 'loss_rows': 2},
         'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 8, 'n_heldout': 2},
         'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'compute': 'float32', 'checkpoint_every': 1},
         'rounds': {'rounds': 2, 'methods': ['mot']}}


def check_kill(size, device, work):
    "A run that is killed by SIGKILL in its middle and resumed, beside one left alone: one hash. `device`: or None."
    import shutil
    from mot_nb.methods.runs import read_run, run
    shutil.rmtree(work/'runs', ignore_errors=True)
    go = lambda out: run(SMALL, out, progress=False, device=device)
    def stages(out): return sum(p.read_bytes().count(b'\n') for p in out.glob('seed-*/ledger.jsonl'))
    def attempt(name, until=None):
        child = multiprocessing.get_context('fork').Process(target=go, args=(work/'runs'/name,))
        child.start()
        while child.is_alive() and not (until and stages(work/'runs'/name) >= until): time.sleep(.002)
        child.kill() if child.is_alive() else None
        child.join()
        return child.exitcode
    ends = attempt('whole'), attempt('killed', until=2), attempt('killed')
    if ends[0] or ends[2]: raise AssertionError(f'a run did not reach its end: exit codes {ends}')
    whole, resumed = (read_run(work/'runs'/n).hash for n in ('whole', 'killed'))
    if whole != resumed: raise AssertionError(f'the resumed run differs: {resumed[:12]}, left alone {whole[:12]}')
    return {'exit_codes': ends, 'hash': whole, 'says': f'killed and resumed, and one left alone: {whole[:12]}'}


def check_vllm(size, device, work):
    "vLLM's answers beside those of transformers, and how fast both are."
    if importlib.util.find_spec('vllm') is None: raise LeftOut('vLLM is not installed')
    import tempfile
    from mot_nb.answers.engines import VllmEngine
    from mot_nb.answers.sampling import sample_problems
    from mot_nb.core.hashes import hash_tensors
    from mot_nb.data.toy import toy_problems
    from mot_nb.student.students import load_student, student_folder
    from mot_nb.student.weights import student_state
    n, longest = (256, 128) if size is REAL else (4, 8)
    model, tokenizer = load_student('toy-tiny', device=device)
    asked, h = {p.id: p.question for p in toy_problems(n, split='heldout')}, hash_tensors(student_state(model))
    with tempfile.TemporaryDirectory() as at:
        ours, theirs = {}, {}
        how = dict(max_new_tokens=longest, batch=64)
        one = spent(device, lambda: ours.update(sample_problems(model, tokenizer, asked, f'{at}/a', h, **how)))
        with VllmEngine(student_folder('toy-tiny'), tokenizer, h, model, 'float32') as v:
            other = spent(device, lambda: theirs.update(v.sample(asked, f'{at}/b', **how)))
    same = sum(ours[i][0].text == theirs[i][0].text for i in asked) / len(asked)
    return {'answers': n, 'equal': same, 'seconds_transformers': one, 'seconds_vllm': other,
            'says': f'{100*same:.0f} % of {n} greedy answers equal; {one:.1f} s, vLLM {other:.1f} s with its start'}


def check_looking(size, device, work):
    "Confidence and sharpness of the shape, in float32."
    from mot_nb.analysis.confidence import row_confidence
    from mot_nb.analysis.landscape import RowLoss
    from mot_nb.analysis.sharpness import sharpness
    model, rows = random_student(size.shape, device), random_rows(size, size.looked_at)
    row_confidence(model, rows[:1], size.micro)
    confidence = spent(device, lambda: row_confidence(model, rows, size.micro))
    found, start = [], time.perf_counter()
    def one(n, total): found.append(time.perf_counter() - start)
    s = sharpness(model, RowLoss(rows[:2], size.micro), .1, size.directions, progress=one)
    tokens = sum(map(len, rows))
    each = (found[-1] - found[0]) / (len(found) - 1)
    return {'tokens': tokens, 'seconds_of_confidence': confidence, 'seconds_of_a_perturbation': each,
            'seconds_of_sharpness': time.perf_counter() - start, 'increase': s.value, **peak(device),
            'says': f'confidence {tokens/confidence:,.0f} tokens/s, a perturbation {each:.1f} s, '
                    f'peak {peak(device)["peak"]/1e9:.1f} GB'}


def check_plan(size, device, work):
    "`mot plan` and the rehearsal beside the peaks that were measured: within 10 %."
    from mot_nb.scale.memory import memory
    rows = {k: r for k in ('full', 'lora') if (r := done(work, k))}
    if not rows: raise LeftOut('neither `full` nor `lora` has measured a peak')
    out = {}
    for name, r in rows.items():
        shape, where = Shape(**{**vars(size.shape), 'layers': r['layers']}), r['device'].split(':')[0]
        total, packs = sum(r['lengths']), -(-sum(r['lengths']) // r['micro_tokens'])
        once = min(r['micro_tokens'], total)
        share = (total - r['prompt'] * len(r['lengths'])) / total
        m = memory(shape, micro_tokens=once, supervised=round(once * share), compute=r['compute'], checkpointing=True,
                   lora_rank=r['lora_rank'], packs=packs, length=r['lengths'][0], device=where)
        libraries = sum(p.value for p in m.parts if p.name == 'libraries') if where == 'cuda' else 0
        out[name] = {'measured': r['peak'], 'plan': m.total - libraries, 'rehearsed': rehearsed(shape, r, size)}
    off = {f'{n}, {k}': x[k] / x['measured'] for n, x in out.items() for k in ('plan', 'rehearsed') if x[k]}
    far = {k: x for k, x in off.items() if abs(x - 1) > .1}
    if far and size is REAL: raise AssertionError(f'more than 10 % off the measured peak: {far}; {out}')
    return {'peaks': out, 'ratios': off, 'says': ', '.join(f'{k} {x:.2f} of the peak' for k, x in off.items())}


def rehearsed(shape, r, size):
    "Bytes on the GPU that the rehearsal has for a step; None where there is no rehearsal, or no GPU was measured."
    if importlib.util.find_spec('mot_nb.scale.rehearsal') is None: return None
    from mot_nb.scale.rehearsal import Case, rehearse_few, rehearse_here
    train = TrainSettings(batch=len(r['lengths']), micro_tokens=r['micro_tokens'], compute=r['compute'],
                          lora_rank=r['lora_rank'], checkpointing=True)
    case = Case(shape, 1, 1, 1, train, r['lengths'][0])
    found = rehearse_few(case) if size is REAL else rehearse_here(case)
    after = ('branch is held', 'branch ends', 'answers')
    held = [sum(s['kinds'].values()) for s in found['stages'] if s['place'] != 'cpu' and s['stage'] not in after]
    return max(held) if held else None


STEPS = { # name -> (what is done, seconds it may take)
    'equal': (check_equal, 60), 'full': (check_full, 180), 'trl': (check_trl, 120), 'lora': (check_lora, 90),
    'merge': (check_merge, 40), 'kill': (check_kill, 60), 'vllm': (check_vllm, 120), 'looking': (check_looking, 180),
    'plan': (check_plan, 150)}


def done(work, name):
    "What WORK has of a step that was done; an empty dict: nothing."
    path = work/f'{name}.json'
    found = json.loads(path.read_text()) if path.exists() else {}
    return found if found.get('status') == 'done' else {}


def with_parent():
    "Ends this process when the one that started it is gone."
    parent = os.getppid()
    def look():
        while os.getppid() == parent: time.sleep(.2)
        os._exit(1)
    threading.Thread(target=look, daemon=True).start()


def in_child(name, size, asked, work, pipe):
    "Carries a step out and sends what it found."
    with_parent()
    try:
        device = asked if name == 'kill' else compute_device(asked)     # what forks once more leaves the GPU alone
        found = {'status': 'done', 'device': str(device or 'chosen by the run'), **STEPS[name][0](size, device, work)}
    except LeftOut as e: found = {'status': 'left out', 'says': str(e)}
    except BaseException as e:
        lines = traceback.format_exc().strip().splitlines()
        found = {'status': 'failed', 'says': f'{type(e).__name__}: {e}'[:600], 'traceback': lines[-12:]}
    with contextlib.suppress(Exception): found['environment'] = environment() # here: it opens the GPU
    pipe.send(found)
    pipe.close()


def carry_out(name, size, asked, work, seconds):
    "What a step found, within its time."
    context, start = multiprocessing.get_context('fork'), time.monotonic()
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=in_child, args=(name, size, asked, work, there))
    child.start()
    there.close()
    found = {'status': 'out of time', 'says': f'{seconds:.0f} s were not enough'}
    try:
        if here.poll(seconds): found = here.recv()
    except EOFError: found = {'status': 'failed', 'says': 'the process died'}
    child.join(5)
    if child.is_alive(): child.kill()
    child.join()
    if found['says'] == 'the process died': found['says'] += f' with exit code {child.exitcode}'
    return {'step': name, **found, 'seconds': round(time.monotonic() - start, 1)}


def commit():
    "The checkout's commit; '' outside git."
    from pages import commit
    return commit()


def record(a, work):
    "Writes what WORK has, as one recorded file."
    rows = [json.loads(p.read_text()) for n in STEPS if (p := work/f'{n}.json').exists()]
    for r in rows: r.pop('traceback', None)
    made_on = [r.pop('environment', None) for r in rows]
    command = 'python tests/tools/gpu_check.py WORK' + ' --tiny' * a.tiny
    settings = {k: v for k, v in vars(TINY if a.tiny else REAL).items() if k != 'shape'}
    path = a.record or (work/'gpu.jsonl' if a.tiny else data_folder()/'recorded'/'checks'/'gpu.jsonl')
    made = dict(commit=commit() if a.commit is None else a.commit, environment=next(filter(None, made_on), None))
    shape = vars((TINY if a.tiny else REAL).shape)
    write_recorded(path, 'gpu check', rows, command=command, settings={**settings, 'shape': shape}, **made)


def arguments(words):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path, metavar='WORK')
    p.add_argument('--tiny', action='store_true', help='tiny size, on a CPU too')
    p.add_argument('--only', help='steps, by comma: ' + ', '.join(STEPS))
    p.add_argument('--minutes', type=float, help='of all steps together (default: 12; of --tiny, any)')
    p.add_argument('--device', help='default: a GPU where there is one')
    p.add_argument('--record', type=Path, metavar='FILE', help='where the results go')
    p.add_argument('--commit', help='of the code (default: what git says)')
    a = p.parse_args(words)
    if unknown := [n for n in (a.only or '').split(',') if n and n not in STEPS]: p.error(f'no such step: {unknown}')
    if not (a.tiny or a.only == 'plan' or torch.cuda.is_available()): p.error('there is no GPU here: give --tiny')
    return a


def main(words=None):
    "Every step that is asked for and not done; 1 where one failed."
    a, began = arguments(words), time.monotonic()
    limit = 60 * (a.minutes or (600 if a.tiny else 12))
    a.work.mkdir(parents=True, exist_ok=True)
    bad = 0
    for name, (_, seconds) in STEPS.items():
        if a.only and name not in a.only.split(','): continue
        left = limit - (time.monotonic() - began)
        if was := done(a.work, name): found = {**was, 'says': f"{was['says']} (done before)"}
        elif left < .25 * seconds: found = {'step': name, 'status': 'out of time', 'says': f'{left:.0f} s are left'}
        else:
            size, may = (TINY, 10 * seconds) if a.tiny else (REAL, seconds)      # a CPU may be busy
            found = carry_out(name, size, a.device, a.work, min(left, may))
            write_atomic(a.work/f'{name}.json', json.dumps(found))
            record(a, a.work)
        bad += found['status'] in ('failed', 'out of time')
        print(f"{time.monotonic() - began:6.1f} s  {name:8} {found['status']}: {found['says']}", flush=True)
    return int(bad > 0)


if __name__ == '__main__': sys.exit(main())
