"""Takes a tiny student of every causal-LM class of transformers through the library, and records what came of it;
and a row of every chat family (families.py), with what is refused of each.

    python tests/tools/check_families.py [CLASS ...]

Each class is saved, loaded, packed, trained, sampled and merged as `mot run` does it, and compared with plain PyTorch:
losses with `F.cross_entropy` of the model's own forward pass, row by row; answers with the most likely token, found
without cache; a merge with the mean of the tensors. What is refused is refused by a MotError, whose words are kept.
Anything else is a fault, and ends the script with 1. The rows go to data/recorded/checks/families.jsonl; with names,
those of these classes take the place of the older ones.
"""
import json, sys, tempfile, time, traceback, warnings
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers as tf

from mot_nb.answers.sampling import generate, padded_ids, stop_tokens
from mot_nb.core.errors import MotError
from mot_nb.core.machine import environment
from mot_nb.core.records import read_recorded, write_recorded
from mot_nb.core.settings import TrainSettings
from mot_nb.data.chat import decode_answer, render_prompt
from mot_nb.data.corpora import Trace, read_back, render
from mot_nb.student.branch import Branch
from mot_nb.student.loss import row_losses
from mot_nb.student.merge_folders import merge_folders
from mot_nb.student.models import byte_tokenizer, save_student
from mot_nb.student.students import load_student
from families import COMPLETIONS, FAMILIES, QUESTION, REFUSED, spelled, tokenizer_of
from pages import RECORDED, commit
from tiny_models import CLASSES, tiny_model

QUESTIONS = [('What is 3 times 4?', 'Answer: 12'), ('What is 5 plus 7?', 'We add.\nAnswer: 12'), ('6 and 6?', '12')]
TOKENIZER = byte_tokenizer()
ROWS = [render(Trace(str(i), 't', q, a, '12'), TOKENIZER) for i, (q, a) in enumerate(QUESTIONS)]
RECORD = RECORDED/'checks'/'families.jsonl'
STEPS = 'packs', 'trains', 'samples', 'saves', 'merges'
CLOSE, LONGEST = dict(rtol=1e-3, atol=1e-3), 6


class Fault(Exception):
    "What the library let through, or did otherwise than plain PyTorch."


def same(found, wanted, what):
    "Raises where numbers differ."
    found, wanted = (torch.as_tensor(x, dtype=torch.float64) for x in (found, wanted))
    if torch.allclose(found, wanted, **CLOSE): return
    raise Fault(f'{what}: {[round(x, 3) for x in found.flatten().tolist()[:4]]} in place of '
                f'{[round(x, 3) for x in wanted.flatten().tolist()[:4]]}')


@torch.no_grad()
def own_losses(model):
    "Sum of the losses of each row's supervised tokens, each row alone, by the model's own forward pass."
    out = []
    for r in ROWS:
        ids = torch.tensor([r.input_ids])
        logits = model(input_ids=ids, use_cache=False).logits[0].float()
        out.append(F.cross_entropy(logits[r.n_prompt - 1:-1], ids[0, r.n_prompt:], reduction='sum').item())
    return out


def plain(folder):
    "The model of a folder as transformers gives it, with its own attention."
    return tf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def packs(folder):
    "Losses of rows packed in one and in several."
    wanted, (model, _) = own_losses(plain(folder)), load_student(folder)
    for micro_tokens in (4096, 100):
        same([s for s, _ in row_losses(model, ROWS, micro_tokens)], wanted, f'losses in packs of {micro_tokens}')


def trained(folder, steps=3, seed=0):
    "(the student after some steps, its losses before each)."
    model, _ = load_student(folder)
    settings = TrainSettings(lr=1e-3, steps=steps, batch=len(ROWS), micro_tokens=100, compute='float32')
    branch = Branch(model, ROWS, settings, steps, seed=seed)
    losses = [r['loss'] for r in branch.train(steps)]
    branch.close()
    return model, losses


def trains(folder):
    "The first step's loss is that of the student as it came; the last one's is lower; what comes out has its loss."
    tokens, before = sum(len(r) - r.n_prompt for r in ROWS), own_losses(plain(folder))
    model, losses = trained(folder)
    same(losses[0], sum(before) / tokens, 'loss of the first step')
    if not losses[-1] < losses[0]: raise Fault(f'losses of training: {losses}')
    after = own_losses(model)
    if not sum(after) < sum(before): raise Fault(f'losses after training: {sum(after):.3f}, before {sum(before):.3f}')


@torch.no_grad()
def most_likely(model, ids, stop, never):
    "The most likely next tokens one by one, without cache; the smallest lead of a first over a second."
    ids, n, lead = list(ids), len(ids), float('inf')
    while len(ids) - n < LONGEST and (len(ids) == n or ids[-1] not in stop):
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()
        logits[never] = -torch.inf
        top = logits.topk(2)
        lead = min(lead, float(top.values[0] - top.values[1]))
        ids.append(int(top.indices[0]))
    ids = ids[n:]
    return ids[:-1] if ids[-1] in stop else ids, lead


def samples(folder):
    "Greedy answers of prompts of several lengths, batched and with a cache."
    own, (model, tokenizer) = plain(folder), load_student(folder)
    asked, stop = [q for q, _ in QUESTIONS], stop_tokens(model, tokenizer)
    never = padded_ids(tokenizer, model.get_output_embeddings().weight.shape[0])
    found = generate(model, tokenizer, asked, max_new_tokens=LONGEST)
    for question, (sample,) in zip(asked, found):
        prompt = render_prompt(question, tokenizer)
        ids, lead = most_likely(own, prompt, stop, never)
        text = decode_answer(tokenizer, prompt, ids)
        if sample.text != text and lead > 1e-3: raise Fault(f'answer {sample.text!r} in place of {text!r}')


def saves(folder):
    "Written and read again, the student is the same."
    model, tokenizer = load_student(folder)
    again, _ = load_student(save_student(folder.parent/'again', model, tokenizer))
    other = [n for n, t in model.state_dict().items() if not torch.equal(t, again.state_dict()[n])]
    if other: raise Fault(f'other tensors after saving: {other[:3]}')
    same(own_losses(plain(folder.parent/'again')), own_losses(plain(folder)), 'losses after saving')


def merges(folder):
    "The mean of two students."
    model, tokenizer = load_student(folder)
    folder = save_student(folder.parent/'first', model, tokenizer)     # both as this library writes them
    generator = torch.Generator().manual_seed(1)
    moved = {n: t + .01 * torch.randn(t.shape, generator=generator) if t.is_floating_point() else t.clone()
             for n, t in model.state_dict().items()}
    model.load_state_dict(moved)
    other = save_student(folder.parent/'other', model, tokenizer)
    merge_folders([folder, other], folder.parent/'merged')
    states = [load_student(p)[0].state_dict() for p in (folder, other, folder.parent/'merged')]
    for n, merged in states[2].items():
        if not merged.is_floating_point(): continue
        mean = (states[0][n].double() + states[1][n].double()) / 2
        if not torch.allclose(merged.double(), mean, atol=1e-6): raise Fault(f'{n} is not the mean of both')


def outcome(step):
    "'yes', or the words of a refusal, or a fault and where it arose."
    try: step()
    except MotError as e:
        lines = [line.strip() for line in str(e).split('\n')]
        values = [line for line in lines if line.startswith('values:')]
        return ' '.join([lines[0], *values]).replace('values: ', '– ')[:240]
    except Exception as e:
        where = traceback.extract_tb(e.__traceback__)[-1].name
        return f'FAULT {type(e).__name__}: {" ".join(str(e).split())[:200]} ({where})'
    return 'yes'


def family(name):
    "The row of one class."
    row = {'class': name}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as room:
        warnings.simplefilter('ignore')
        try: model = tiny_model(name)
        except Exception as e:
            return row | {'built': f'{type(e).__name__}: {" ".join(str(e).split())[:120]}'}
        folder = Path(room)/'student'
        loads = outcome(lambda: (save_student(folder, model, TOKENIZER), load_student(folder)))
        row |= {'kind': model.config.model_type, 'built': 'yes', 'loads': loads}
        if loads != 'yes': return row
        return row | {step: outcome(partial(globals()[step], folder)) for step in STEPS}


def taught(tokenizer, completion):
    "(spelled prompt, spelled completion with its end) of a row that reads back."
    trace = Trace('1', 't', QUESTION, completion, '12')
    row = render(trace, tokenizer)
    if wrong := read_back(row, trace, tokenizer): raise Fault(wrong)
    return [spelled(tokenizer, ids) for ids in (row.input_ids[:row.n_prompt], row.input_ids[row.n_prompt:])]


def template(name):
    "The row of a chat family; raises where it is not what its engine writes."
    family, tokenizer = FAMILIES[name], tokenizer_of(FAMILIES[name])
    found = {state: taught(tokenizer, completion) for state, completion in COMPLETIONS.items()}
    wanted = {state: [family.prompt, f'{family.taught[state]}·{family.end}·'] for state in COMPLETIONS}
    if found != wanted: raise Fault(f'{name}: {found}, expected {wanted}')
    stop = sorted(tokenizer.convert_ids_to_tokens(list(stop_tokens(None, tokenizer))))
    return {'template': name, 'prompt': family.prompt.partition(QUESTION)[2], 'thought': found['whole'][1],
            'none': found['none'][1], 'stop': stop}


def refusal(name):
    "The row of what is refused of a family."
    family, text, system, _ = REFUSED[name]
    tokenizer = tokenizer_of(FAMILIES[family])
    tokenizer.chat_template = text
    trace = Trace('1', 't', QUESTION, '12')
    return {'template': name, 'refused': outcome(lambda: render(trace, tokenizer, system=system))}


def faults(row):
    "The faults of a row."
    return {k: v for k, v in row.items() if str(v).startswith('FAULT')}


def main(names):
    "All rows, or those of some classes; a line for each as it is done."
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()
    rows = [*map(template, FAMILIES), *map(refusal, REFUSED)]
    old = {r['class']: r for r in (read_recorded(RECORD)[1] if names else ()) if 'class' in r}
    for name in names or CLASSES:
        start = time.time()
        old[name] = family(name)
        print(f'{time.time() - start:.1f}', json.dumps(old[name]), flush=True)
    rows += [old[name] for name in CLASSES if name in old]
    command = 'python tests/tools/check_families.py'
    write_recorded(RECORD, 'families of students', rows, commit(), command, environment())
    return 1 if any(map(faults, rows)) else 0


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
