"""Kills TRL's SFTTrainer while it writes a checkpoint, at each of four files, and resumes from what is left.

    .venv/peers/bin/python tests/tools/kill_trl.py [RECORD]     in the environment of `make bench`

The same question as `kill_ranks.py` asks of this library. A process dies by SIGKILL in the middle of the file; the next
one is asked to resume from the newest checkpoint, and its end is compared with that of a run left alone. Prints a JSON
line per file, and records them where RECORD names a file.
"""
import json, os, shutil, signal, subprocess, sys, tempfile
from pathlib import Path

FILES = ('model.safetensors', 'optimizer.pt', 'scheduler.pt', 'trainer_state.json')
STEPS = 4


def trainer_of(out):
    "A trainer of a tiny student with a checkpoint at every step."
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer
    from mot_nb.student.students import student_folder
    folder = str(student_folder('qwen3-tiny'))
    row = lambda i: {'input_ids': list(range(5 + i, 25 + i)), 'labels': [-100]*5 + list(range(10 + i, 25 + i))}
    args = SFTConfig(output_dir=str(out), max_steps=STEPS, per_device_train_batch_size=4, max_length=None,
                     learning_rate=1e-3, lr_scheduler_type='constant', gradient_checkpointing=False, bf16=False,
                     use_cpu=True, save_strategy='steps', save_steps=1, report_to=[], disable_tqdm=True, seed=0)
    return SFTTrainer(model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), args=args,
                      train_dataset=Dataset.from_list([row(i) for i in range(32)]),
                      processing_class=AutoTokenizer.from_pretrained(folder))


def train(out, resume, fatal):
    "Trains, or resumes; dies in the middle of `fatal` of the checkpoint of step 3."
    from safetensors.torch import save_file
    trainer = trainer_of(out)
    if fatal: die_in(Path(out)/'checkpoint-3'/fatal)
    trainer.train(resume_from_checkpoint=True if resume else None)
    save_file({n: p.detach().clone() for n, p in trainer.model.named_parameters()}, Path(out)/'end.safetensors')


def die_in(path):
    "From here on, a process that has half of this file on disk is killed."
    import safetensors.torch, torch, transformers.modeling_utils as m, transformers.trainer_callback as c
    def end(file):
        os.truncate(file, os.path.getsize(file) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    def after(f):
        def g(*a, **kw):
            out, paths = f(*a, **kw), [x for x in (*a, *kw.values()) if isinstance(x, (str, os.PathLike))]
            if any(str(x) == str(path) for x in paths): end(path)
            return out
        return g
    torch.save, safetensors.torch.save_file = after(torch.save), after(safetensors.torch.save_file)
    for name in ('safe_save_file', 'save_file'):
        if hasattr(m, name): setattr(m, name, after(getattr(m, name)))
    c.TrainerState.save_to_json = after(c.TrainerState.save_to_json)


def once(*words):
    "One process of this script: (exit code, last line it said)."
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1', 'TOKENIZERS_PARALLELISM': 'false'}
    done = subprocess.run([sys.executable, __file__, *map(str, words)], capture_output=True, text=True, env=env)
    said = [line for line in done.stderr.strip().splitlines() if line.strip() and not line.startswith(' ')]
    return done.returncode, said[-1][:160] if said else ''


def weights(out):
    "The last weights; None where the run did not end."
    from safetensors.torch import load_file
    return load_file(Path(out)/'end.safetensors') if (Path(out)/'end.safetensors').exists() else None


def killed(fatal, out, whole):
    "One row: killed in this file ('': stopped between two checkpoints), then resumed."
    import torch
    code, said = once('train', out, *([fatal] if fatal else []))
    if fatal: assert code == -signal.SIGKILL, (fatal, code, said)
    else:     # stopped after step 3: its last checkpoint and its end are taken away
        shutil.rmtree(out/f'checkpoint-{STEPS}')
        (out/'end.safetensors').unlink()
    code, said = once('resume', out)
    end = weights(out)
    equal = code == 0 and end is not None and all(torch.equal(end[n], t) for n, t in whole.items())
    return {'killed in': fatal or 'no file: stopped between two checkpoints', 'resumed': code == 0, 'equal': equal,
            'said': '' if code == 0 else said.replace(str(out.parent), 'FOLDER')}


def main(record):
    "All four kills, and a stop between two checkpoints beside them."
    import importlib.metadata as m
    from mot_nb.core.machine import environment
    from mot_nb.core.records import write_recorded
    from pages import commit
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        assert once('train', tmp/'whole')[0] == 0
        for fatal in ('', *FILES):
            rows.append(killed(fatal, tmp/(fatal or 'between'), weights(tmp/'whole')))
            print(json.dumps(rows[-1]), flush=True)
    if not record: return
    write_recorded(record, 'TRL killed', rows, commit(), 'python tests/tools/kill_trl.py', environment(),
                   trl=m.version('trl'))


if __name__ == '__main__':
    if sys.argv[1:2] in (['train'], ['resume']): train(sys.argv[2], sys.argv[1] == 'resume', (sys.argv[3:] or [''])[0])
    else: main((sys.argv[1:] or [''])[0])
