"""Random edits of a toy run folder and of a toy record: `mot verify` must find every one.

python tests/tools/edits.py FOLDER [EDITS] [SEED]    (1,000 edits, seed 0)

Makes both in FOLDER, edits one place at a time (a number, a text, a truth value, a hash, a field, a line, a byte of
weights or settings), verifies, restores. Prints the edits that were not found; exit code 1 where there are any. After
that as many again of numbers that can be worked out anew, each with a new seal over the edited file.
"""
import json, random, sys
from collections import Counter
from pathlib import Path

from mot_nb.app.verify import verify
from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_json
from mot_nb.core.records import sealed
from mot_nb.core.seals import SEAL, write_seal
from mot_nb.core.settings import profile_settings
from mot_nb.methods.planned import Plans
from mot_nb.methods.recorded import record_run
from mot_nb.methods.runs import run

SETTINGS = ['seeds=0,1', 'rounds.rounds=2', 'data.n_train=12', 'data.n_heldout=12', 'data.teachers=plain,verbose',
            'train.steps=2', 'eval.max_new_tokens=24', 'eval.loss_rows=6', 'rounds.mtd_budgets=depth']
FREE = ('seconds', 'log.loss', 'log.norm', 'text', 'n_tokens', 'notes', 'command', 'environments', 'environment',
        'engine', 'commit', 'name', 'layout')   # nothing else says what these are: the seal alone covers them
TRAINED = ('rows.value', 'rows.lo', 'rows.hi', 'hash', 'report.hashes', 'output_hash')   # of students that did not stay


def make(folder):
    "(run folder, record) of a toy run; made once."
    out, record = folder/'run', folder/'record.jsonl'
    run(profile_settings('smoke', 'toy', SETTINGS), out, progress=False)
    if not record.exists(): record_run(out, record, commit='c0ffee')
    return out, record


def leaves(obj, path=()):
    "[path] of every number, text and truth value of an object."
    if isinstance(obj, dict): return [p for k, v in obj.items() for p in leaves(v, (*path, k))]
    if isinstance(obj, list): return [p for i, v in enumerate(obj) for p in leaves(v, (*path, i))]
    return [path]


def other(value, rng):
    "Another value of the same kind."
    if isinstance(value, bool): return not value
    if value is None: return rng.choice((0, '', False))
    if isinstance(value, int): return value + rng.choice((-1, 1, 10))
    if isinstance(value, float): return rng.choice((value + .01, value*1.001 + 1e-6, -value - 1, value + 1e-9))
    i = rng.randrange(len(value) + 1)
    if len(value) == 64 and i < 64: return value[:i] + ('0' if value[i] != '0' else '1') + value[i + 1:]
    return value[:i] + rng.choice(('x', '7', ' ', '\x1b[2J', '$', '\u202e')) + value[i:]


def put(obj, path, change):
    "Changes one leaf in place."
    for k in path[:-1]: obj = obj[k]
    obj[path[-1]] = change(obj[path[-1]])


def edit_field(text, rng, wanted=lambda path: True):
    "(text with one field of one line changed, what was done)."
    lines = text.splitlines() if not text.startswith('{\n') else [text]
    i = rng.randrange(len(lines))
    obj = json.loads(lines[i])
    if not (paths := [p for p in leaves(obj) if p and wanted(p)]): return edit_field(text, rng, wanted)
    path = rng.choice(paths)
    put(obj, path, lambda v: other(v, rng))
    lines[i] = json.dumps(obj, indent=1) if len(lines) == 1 and lines[0].startswith('{\n') else json.dumps(obj)
    return '\n'.join(lines) + '\n'*text.endswith('\n'), f'line {i + 1}, {".".join(map(str, path))}'


def edit_line(text, rng, kinds=('dropped', 'doubled', 'swapped')):
    "(text with a line dropped, doubled or moved, what was done)."
    lines, kind = text.splitlines(), rng.choice(kinds)
    i = rng.randrange(len(lines))
    if kind == 'dropped': del lines[i]
    if kind == 'doubled': lines.insert(rng.randrange(len(lines) + 1), lines[i])
    if kind == 'swapped':
        j = rng.choice([j for j in range(len(lines)) if lines[j] != lines[i]])
        lines[i], lines[j] = lines[j], lines[i]
    return '\n'.join(lines) + '\n', f'line {i + 1} {kind}'


def edit_structure(text, rng):
    "(text with a field of one line dropped, renamed or added, what was done)."
    lines = text.splitlines()
    i = rng.randrange(len(lines))
    obj = json.loads(lines[i])
    key, kind = rng.choice(list(obj)), rng.choice(('dropped', 'renamed', 'added'))
    value = obj.pop(key) if kind != 'added' else 1
    if kind != 'dropped': obj[f'{key}_'] = value
    lines[i] = json.dumps(obj)
    return '\n'.join(lines) + '\n', f'line {i + 1}, {key} {kind}'


def edit_byte(data, rng, least=0):
    "(bytes with one of them changed, what was done)."
    i = rng.randrange(least, len(data))
    return data[:i] + bytes([data[i] ^ rng.choice((1, 4, 32, 128))]) + data[i + 1:], f'byte {i}'


def edited(path, rng):
    "(new bytes of a file, what was done)."
    data = path.read_bytes()
    if path.suffix != '.jsonl' and (path.suffix != '.json' or rng.random() < .5): return edit_byte(data, rng)
    if path.suffix == '.json': kind = edit_field
    else: kind = rng.choices((edit_field, edit_line, edit_structure, None), (6, 2, 1, 1))[0]
    if kind is None: return edit_byte(data, rng)
    text, what = kind(data.decode(), rng)
    return text.encode(), what


def derivable(name):
    "Whether a field of a file can be worked out anew without training, by the file's name: path -> bool."
    def wanted(path):
        words = '.'.join(str(p) for p in path if isinstance(p, str))
        if name.endswith('.json') and 'merges' in name:
            counts = ('dtype', 'merged', 'expected', 'parameters', 'tensors', 'layer', 'operator')
            return path[-1] in counts and path[0] == 'report' or path[-2:-1] == ('weights',)
        if words in TRAINED and path[:2] != ('rows', 1): return False
        return not any(words == f or words.startswith(f + '.') for f in FREE)
    return wanted


def tried(path, target, data, plans, reseal=None):
    "What `verify` says after the bytes of a file were changed, '' where it says that all agrees; the file is restored."
    before = path.read_bytes()
    path.write_bytes(data)
    kept = {s: s.read_bytes() for s in target.glob(f'seed-*/{SEAL}')} if target.is_dir() and reseal else {}
    try:
        if reseal: reseal()
        found = verify(target, train=False, plans=plans)
        if found.ok: found = verify(target, plans=plans)
        return '' if found.ok else str(found.first)
    except MotError as e: return str(e)
    finally:
        path.write_bytes(before)
        for s, b in kept.items(): s.write_bytes(b)


def random_edits(out, record, n, rng, plans):
    "Yields (what was done, what was said) of n edits, half in the folder and half in the record."
    files = [p for p in sorted(out.rglob('*')) if p.is_file() and not p.name.startswith('.')]
    for i in range(n):
        path, target = (record, record) if i % 2 else (rng.choice(files), out)
        data, what = edited(path, rng)
        if data == path.read_bytes(): continue
        yield f'{path.relative_to(out.parent)}: {what}', tried(path, target, data, plans)


def resealed_record(record):
    "Writes new hashes into the head of a record."
    head, *rows = [json.loads(line) for line in record.read_text().splitlines()]
    head = sealed({**head, 'hash': hash_json(rows)}, rows)
    record.write_text(''.join(json.dumps(r) + '\n' for r in (head, *rows)))


def resealed_edits(out, record, n, rng, plans):
    "As `random_edits`, of numbers that can be worked out anew, with a new seal each time."
    logs = [p for p in sorted(out.rglob('*.json*')) if p.is_file() and p.name != SEAL and 'students' not in p.parts]
    of_record = ('seed', 'method', 'teacher', 'round', 'steps', 'branch_steps', 'student', 'metric', 'corpus', 'k', 'n',
                 'tokens')
    for i in range(n):
        path, target = (record, record) if i % 4 == 0 else (rng.choice(logs), out)
        name = path.relative_to(out.parent).as_posix()
        wanted = derivable(name) if target == out else lambda p: p[0] in of_record
        moved = ('swapped',) * (target == record or path.name == 'metrics.jsonl')   # elsewhere the order says nothing
        if path.suffix == '.jsonl' and rng.random() < .15:
            text, what = edit_line(path.read_text(), rng, ('dropped', 'doubled', *moved))
        else: text, what = edit_field(path.read_text(), rng, wanted)
        if target == record: reseal = lambda: resealed_record(record)
        else: reseal = lambda: [write_seal(s) for s in out.glob('seed-*')]
        yield f'{name}, sealed again: {what}', tried(path, target, text.encode(), plans, reseal)


def main(folder, n=1000, seed=0):
    "Prints what was not found; the number of such edits."
    folder, rng, plans = Path(folder), random.Random(int(seed)), Plans()
    out, record = make(folder)
    for target in (out, record): assert verify(target, plans=plans).ok, f'{verify(target).first}: before any edit'
    lost, counts = [], Counter()
    for kind, edits in (('edits', random_edits), ('sealed again', resealed_edits)):
        for what, said in edits(out, record, int(n), rng, plans):
            counts[kind] += 1
            if not said: lost.append(what)
            if said and counts[kind] % 100: continue
            print(counts[kind], kind, '' if said else 'NOT FOUND', what, flush=True)
    print(f'{dict(counts)}, not found: {len(lost)}')
    return len(lost)


if __name__ == '__main__': sys.exit(min(1, main(*sys.argv[1:])))
