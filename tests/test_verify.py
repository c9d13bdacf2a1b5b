"`mot verify`: what was changed is found and named, what was not agrees; 1,000 edits are tried by tests/tools/edits.py."
import json, random, shutil
from pathlib import Path

import pytest

import edits
from mot_nb.app.cli import main
from mot_nb.app.verify import verify
from mot_nb.core.errors import MotError
from mot_nb.core.records import recorded, recorded_names
from mot_nb.core.seals import SEAL, write_seal
from mot_nb.core.settings import profile_settings
from mot_nb.methods.planned import Plans
from mot_nb.methods.runs import read_run, run


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    "(run folder, record, plans) of a toy run."
    folder = tmp_path_factory.mktemp('toy')
    return *edits.make(folder), Plans()


def put(path, before, after):
    "Replaces a text once."
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


@pytest.fixture
def copy(toy, tmp_path):
    "A copy of the run folder that may be changed."
    return Path(shutil.copytree(toy[0], tmp_path/'run'))


def sealed_again(out):
    "Writes new seals, as somebody would who hides what was changed."
    for folder in out.glob('seed-*'): write_seal(folder)


def test_an_honest_run_and_record_agree(toy):
    out, record, plans = toy
    found = verify(out, plans=plans)
    assert found.ok and not [n for n in found.notes if 'another machine' in n], found
    assert found.hash == read_run(out).hash and len(found.verdicts) == 6
    for what in ('answers', 'losses measured again', 'merges made again', 'values of a branch trained again'):
        assert found.counts[what] > 10, what
    again = verify(record, plans=plans)
    assert again.ok and again.counts['values of a branch trained again'] and again.verdicts == found.verdicts, again


def test_a_run_whose_branches_wait_on_disk_agrees(tmp_path):
    "What is planned for it, without a folder, writes nothing."
    few = ['rounds.branches=disk', 'seeds=0', 'rounds.rounds=1', 'rounds.methods=[mot]', *edits.SETTINGS[2:]]
    run(profile_settings('smoke', 'toy', few), tmp_path/'run', progress=False)
    found = verify(tmp_path/'run', train=False)
    assert found.ok, found


def test_random_edits_are_found(toy):
    out, record, plans = toy
    rng = random.Random(3)
    tried = [*edits.random_edits(out, record, 40, rng, plans), *edits.resealed_edits(out, record, 24, rng, plans)]
    assert len(tried) >= 60 and not [what for what, said in tried if not said]
    assert verify(out, train=False, plans=plans).ok and verify(record, train=False, plans=plans).ok   # all restored


@pytest.mark.parametrize('file, before, after, says', [
    ('seed-0/metrics.jsonl', '"k": 1', '"k": 2', 'seed-0/metrics.jsonl, line 2, k: there 2, expected 1;'),
    ('seed-1/ledger.jsonl', '"lr": 0.001', '"lr": 0.002', 'log.0.lr: there 0.002, expected 0.001;'),
    ('seed-0/merges/mot-r1.json', '"operator": "mean"', '"operator": "ties"', 'operator: there ties, expected mean;'),
    ('settings.yaml', 'steps: 2', 'steps: 3', 'settings.yaml, line '),
    ('manifest.json', '"command": "', '"command": "sudo ', 'manifest.json, line '),
    ('seed-1/samples/base.jsonl', '"n_tokens": ', '"n_tokens": 1', 'seed-1/samples/base.jsonl, line 2'),
    ('seed-0/ledger.jsonl', '"seconds": ', '"seconds": 1', 'seed-0/ledger.jsonl, line 1: there {"stage": "measure')])
def test_file_line_field_and_values_are_named(toy, copy, file, before, after, says):
    put(copy/file, before, after)
    first = str(verify(copy, plans=toy[2]).first)
    assert says in first and '\n' not in first, first


def test_a_ledger_line_given_twice(toy, copy):
    "Named, and harmless: the result is the same."
    ledger = copy/'seed-0'/'ledger.jsonl'
    ledger.write_text(ledger.read_text() + ledger.read_text().splitlines()[3] + '\n')
    sealed_again(copy)
    assert 'expected another key than line 4' in str(verify(copy, plans=toy[2]).first)
    assert read_run(copy).hash == read_run(toy[0]).hash


def test_what_only_training_shows(toy, copy):
    "All losses of a step moved, in every branch, and sealed again: the branch that is trained again has other ones."
    for ledger in copy.glob('seed-*/ledger.jsonl'):
        rows = [json.loads(line) for line in ledger.read_text().splitlines()]
        for r in rows:
            for step in r.get('log', ()): step['norm'] *= 1 + 1e-6
        ledger.write_text(''.join(json.dumps(r) + '\n' for r in rows))
    sealed_again(copy)
    assert verify(copy, train=False, plans=toy[2]).ok
    assert 'norm: there' in str(verify(copy, plans=toy[2]).first)


def test_a_loss_of_a_kept_student(toy, copy):
    "Moved with its interval, in ledger and metrics, and sealed again: it is measured again."
    for file in ('ledger', 'metrics'):
        path = copy/'seed-1'/f'{file}.jsonl'
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        losses = [x for r in rows for x in r.get('rows', [r]) if x.get('metric') == 'loss']
        for x in losses: x.update({k: x[k] + .01 for k in ('value', 'lo', 'hi')})
        path.write_text(''.join(json.dumps(r) + '\n' for r in rows))
    sealed_again(copy)
    assert 'rows.0.value: there' in str(verify(copy, plans=toy[2]).first)


def test_an_accuracy_moved_everywhere(toy, copy):
    "In ledger and metrics alike, and sealed again: the answers are graded again."
    for file in ('ledger', 'metrics'):
        path = copy/'seed-0'/f'{file}.jsonl'
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for x in (x for r in rows for x in r.get('rows', [r]) if x.get('metric') == 'accuracy'): x['value'] = .99
        path.write_text(''.join(json.dumps(r) + '\n' for r in rows))
    sealed_again(copy)
    assert 'rows.1.value: there 0.99' in str(verify(copy, train=False, plans=toy[2]).first)


def test_a_bit_of_the_weights(toy, copy):
    path = copy/'seed-1'/'students'/'mot-r2'/'model.safetensors'
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    assert 'seed-1/students/mot-r2, weights' in str(verify(copy, train=False, plans=toy[2]).first)
    shutil.rmtree(path.parent)
    assert 'no such f' in str(verify(copy, train=False, plans=toy[2]).first)


def test_a_number_of_another_kind(toy, copy):
    "1 is not 1.0 and not true to who reads the file."
    for now in ('1.0', 'true'):
        put(copy/'seed-0'/'metrics.jsonl', '"round": 1,', f'"round": {now},')
        sealed_again(copy)
        assert f'round: there {now}, expected 1;' in str(verify(copy, train=False, plans=toy[2]).first)
        put(copy/'seed-0'/'metrics.jsonl', f'"round": {now},', '"round": 1,')


def test_a_run_that_is_not_finished_and_one_without_seal(toy, copy):
    (copy/'seed-1'/'metrics.jsonl').unlink()
    assert 'seed-1/metrics.jsonl: there no such file' in str(verify(copy, plans=toy[2]).first)
    run(profile_settings('smoke', 'toy', edits.SETTINGS), copy, progress=False)          # goes on, and seals
    assert verify(copy, train=False, plans=toy[2]).ok
    (copy/'seed-0'/SEAL).unlink()
    assert 'expected the seal' in str(verify(copy, train=False, plans=toy[2]).first)
    run(profile_settings('smoke', 'toy', edits.SETTINGS), copy, progress=False)
    assert verify(copy, train=False, plans=toy[2]).ok


def test_an_amended_run_agrees(toy, copy):
    "A round more: the seal is broken, the run goes on, and all agrees with the settings as they are now."
    more = profile_settings('smoke', 'toy', [*edits.SETTINGS, 'rounds.rounds=3', 'rounds.mtd_budgets=depth,compute'])
    run(more, copy, progress=False)
    found = verify(copy)
    assert found.ok, found.first


def test_a_lab_breaks_the_seal_it_writes_under(copy):
    import mot_nb as mot
    lab = mot.Lab(str(copy/'settings.yaml'), out=str(copy), progress=False)
    assert (copy/'seed-0'/SEAL).exists()
    lab.student.learn_from('verbose', steps=1)
    lab.close()
    assert not (copy/'seed-0'/SEAL).exists() and (copy/'seed-1'/SEAL).exists()


# they need their student
RUNS = [n for n in recorded_names() if n.startswith(('runs/', 'claims/')) or n == 'scores/words-measure']


@pytest.mark.parametrize('name', [n for n in recorded_names() if n not in RUNS])
def test_shipped_records_agree(name): assert verify(recorded(name)).ok


@pytest.mark.long
@pytest.mark.parametrize('name', RUNS)
def test_shipped_runs_agree(name): assert verify(recorded(name), train='toy' in name).ok


def test_the_shipped_toy_run_agrees():
    found = verify(recorded('runs/toy'), train=False)
    assert found.ok and len(found.verdicts) == 6, found.first


def test_the_command(toy, copy, capsys, tmp_path):
    assert main(['verify', str(copy), '--no-training']) == 0
    shown = capsys.readouterr()
    assert 'all agrees' in shown.out and 'claim 3' in shown.out and not shown.err
    put(copy/'seed-0'/'metrics.jsonl', '"method": "std"', '"method": "\x1b[2Jstd\\u202e"')
    assert main(['verify', str(copy)]) == 1
    shown = capsys.readouterr()
    assert shown.err.count('\n') == 1 and 'differs: ' in shown.err and not set('\x1b\u202e') & set(shown.err)
    assert main(['verify', str(tmp_path/'none')]) == 1 and main(['verify', str(tmp_path)]) == 1
    assert capsys.readouterr().err.count('cure:') == 2 and main(['verify']) == 2


@pytest.mark.parametrize('head', ['', '[]', '3', '{"kind": "run"}', 'null', '\udcff'.encode('utf-8', 'surrogatepass')])
def test_files_that_are_no_record(tmp_path, head):
    path = tmp_path/'a.jsonl'
    path.write_bytes((head if isinstance(head, bytes) else head.encode()) + b'\n')
    try: assert not verify(path).ok
    except MotError as e: assert e.cure


def test_a_record_of_hostile_structure(toy, tmp_path):
    "Every field of the head replaced by one of another kind, sealed: no exception but a named line."
    from mot_nb.core.records import sealed
    lines, path = [json.loads(line) for line in toy[1].read_text().splitlines()], tmp_path/'a.jsonl'
    for key in ('settings', 'marks', 'merges', 'environment', 'engine', 'kind'):
        for value in (3, [1], {'a': None}):
            head = sealed({**lines[0], key: value}, lines[1:])
            path.write_text('\n'.join(map(json.dumps, (head, *lines[1:]))) + '\n')
            found = verify(path, train=False, plans=toy[2])
            assert found.first is None or str(found.first), (key, value)
