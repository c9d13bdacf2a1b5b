"""Kills TRL's SFTTrainer while it writes a checkpoint, at each of four files, resumes from what is left, and compares with a run left alone; prints a JSON line a file.

    .venv/peers/bin/python tests/tools/kill_trl.py [RECORD]     the environment of `make bench`; RECORD: a JSONL file for the lines

The same question as `kill_ranks.py` asks of this library. A process dies by SIGKILL in the middle of the file; the next one is asked to resume from the newest checkpoint.
"""
import json, os, signal, subprocess, sys, tempfile
from pathlib import Path

FILES = ('model.safetensors', 'optimizer.pt', 'scheduler.pt', 'trainer_state.json')
STEPS = 4


def train(out, resume, fatal):
    "Trains a tiny student with a checkpoint at every step; dies in the middle of `fatal` of the checkpoint of step 3."
    import torch
    from datasets import Dataset
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer
    from mot_nb.student.students import student_folder
    folder = str(student_folder('qwen3-tiny'))
    data = Dataset.from_list([{'input_ids': list(range(5 + i, 25 + i)), 'labels': [-100]*5 + list(range(10 + i, 25 + i))} for i in range(32)])
    args = SFTConfig(output_dir=str(out), max_steps=STEPS, per_device_train_batch_size=4, max_length=None, learning_rate=1e-3, lr_scheduler_type='constant', gradient_checkpointing=False, bf16=False, use_cpu=True,
                     save_strategy='steps', save_steps=1, report_to=[], disable_tqdm=True, seed=0)
    trainer = SFTTrainer(model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), args=args, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(folder))
    if fatal: die_in(Path(out)/'checkpoint-3'/fatal)
    trainer.train(resume_from_checkpoint=True if resume else None)
    save_file({n: p.detach().clone() for n, p in trainer.model.named_parameters()}, Path(out)/'end.safetensors')


def die_in(path):
    "From here on, a process that has half of this file on disk is killed."
    def end(file):
        size = os.path.getsize(file)
        os.truncate(file, size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    import safetensors.torch, torch, transformers.modeling_utils, transformers.trainer_callback as c
    def after(f):
        def g(*a, **kw):
            out = f(*a, **kw)
            if any(str(x) == str(path) for x in (*a, *kw.values()) if isinstance(x, (str, os.PathLike))): end(path)
            return out
        return g
    torch.save = after(torch.save)
    safetensors.torch.save_file = after(safetensors.torch.save_file)
    for name in ('safe_save_file', 'save_file'):
        if hasattr(transformers.modeling_utils, name): setattr(transformers.modeling_utils, name, after(getattr(transformers.modeling_utils, name)))
    c.TrainerState.save_to_json = after(c.TrainerState.save_to_json)


def once(*words):
    "One process of this script: (exit code, last line it said)."
    done = subprocess.run([sys.executable, __file__, *map(str, words)], capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1', 'TOKENIZERS_PARALLELISM': 'false'})
    said = [l for l in done.stderr.strip().splitlines() if l.strip() and not l.startswith(' ')]
    return done.returncode, said[-1][:160] if said else ''


def weights(out):
    from safetensors.torch import load_file
    return load_file(Path(out)/'end.safetensors') if (Path(out)/'end.safetensors').exists() else None


def main(record):
    "All four kills, and a stop between two checkpoints beside them."
    import importlib.metadata as m
    from mot_nb.core.machine import environment
    import torch
    git = subprocess.run(['git', 'rev-parse', '--short=12', 'HEAD'], capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()
    lines = [{'kind': 'TRL killed', 'trl': m.version('trl'), 'commit': git, 'command': 'python tests/tools/kill_trl.py', 'environment': environment()}]
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        assert once('train', tmp/'whole')[0] == 0
        whole = weights(tmp/'whole')
        for fatal in ('', *FILES):
            out = tmp/(fatal or 'between')
            code, said = once('train', out, *([fatal] if fatal else []))
            if fatal: assert code == -signal.SIGKILL, (fatal, code, said)
            else:                                     # stopped cleanly after step 3: its last checkpoint and its end are taken away
                import shutil
                shutil.rmtree(out/f'checkpoint-{STEPS}'); (out/'end.safetensors').unlink()
            code, said = once('resume', out)
            said = said.replace(str(tmp), 'FOLDER')
            end = weights(out)
            equal = code == 0 and end is not None and all(torch.equal(end[n], t) for n, t in whole.items())
            lines.append({'killed in': fatal or 'no file: stopped between two checkpoints', 'resumed': code == 0, 'equal': equal, 'said': '' if code == 0 else said})
            print(json.dumps(lines[-1]), flush=True)
    if record: Path(record).write_text(''.join(json.dumps(l) + '\n' for l in lines))


if __name__ == '__main__':
    if sys.argv[1:2] in (['train'], ['resume']): train(sys.argv[2], sys.argv[1] == 'resume', (sys.argv[3:] or [''])[0])
    else: main((sys.argv[1:] or [''])[0])
