"`mot` as a user types it: exit codes, errors without a traceback, and every command resuming where it stopped."
import os, subprocess, sys
from pathlib import Path

import pytest

from mot_nb.app.cli import main

MOT = str(Path(sys.executable).parent/'mot')
SMALL = ['smoke/words', 'data.n_train=6', 'data.n_heldout=4', 'data.teachers=worked,equations',
         'rounds.rounds=1', 'rounds.methods=mot', 'train.steps=1']


@pytest.fixture
def mot(tmp_path, monkeypatch, capsys):
    "Runs a command line in an empty folder; returns exit code, output and errors."
    monkeypatch.chdir(tmp_path)
    def run(*argv):
        code = main([str(a) for a in argv])
        shown = capsys.readouterr()
        assert 'Traceback' not in shown.out + shown.err
        return code, shown.out, shown.err
    return run


@pytest.mark.parametrize('argv, code, says', [
    ((), 2, ''), (('dcotor',), 2, "did you mean 'doctor'"), (('report', 'smoke', '--quite'), 2, '--quiet'),
    (('run',), 2, 'SETTINGS'),
    (('run', 'none.yaml'), 1, 'cannot be read'),
    (('run', 'smoke/toy', 'train.step=3'), 1, "did you mean 'train.steps'"),
    (('run', 'smoke/toy', 'train.steps=many'), 1, 'wrong type'),
    (('run', 'smoke/toy', 'train.steps=0'), 1, 'out of range'),
    (('eval', 'smollm', '--pool', 'toy'), 1, 'smollm2-135m'),
    (('eval', 'toy', '--pool', 'wordz'), 1, "did you mean 'words'"),
    (('merge', 'out', 'none'), 1, ''), (('report', 'smok'), 1, "did you mean 'smoke'")])
def test_errors(mot, argv, code, says):
    got, out, err = mot(*argv)
    assert got == code and says in out + err, (got, out, err)


def test_run_goes_on_and_refuses_other_settings(mot, tmp_path):
    code, first, err = mot('run', *SMALL, '--out', 'a', '--quiet')
    assert code == 0 and 'mot' in first, err
    before = (tmp_path/'a'/'seed-0'/'metrics.jsonl').stat().st_mtime_ns
    code, again, _ = mot('run', *SMALL, '--quiet', '--out', 'a')
    assert code == 0 and again == first and (tmp_path/'a'/'seed-0'/'metrics.jsonl').stat().st_mtime_ns == before
    code, _, err = mot('run', *SMALL, 'train.lr=0.5', '--out', 'a')
    assert code == 1 and 'train.lr' in err and (tmp_path/'a'/'seed-0'/'metrics.jsonl').stat().st_mtime_ns == before


def test_eval_goes_on_with_its_file(mot, tmp_path):
    command = ('eval', 'qwen3-tiny', '--pool', 'words', '--n', '6', 'eval.max_new_tokens=4', 'eval.k=2',
               'eval.temperature=1.0', '--out', 'a.jsonl', '--quiet')
    code, first, err = mot(*command)
    assert code == 0 and '6 problems x 2' in first, err
    whole = (tmp_path/'a.jsonl').read_bytes()
    (tmp_path/'a.jsonl').write_bytes(whole[:len(whole)//2])                 # as a killed command leaves it
    code, again, _ = mot(*command)
    assert code == 0 and again == first and (tmp_path/'a.jsonl').read_bytes() == whole
    assert (tmp_path/'a.score.json').exists()


def test_merge_of_one_student_with_itself(mot, tmp_path):
    from mot_nb.student.students import student_folder
    folder = student_folder('qwen3-tiny')
    code, out, err = mot('merge', 'mean', folder, folder)
    assert code == 0, err
    assert (tmp_path/'mean'/'config.json').exists()
    code, _, err = mot('merge', 'other', folder, folder, '--weights', '0.5,0.4')
    assert code == 1 and not (tmp_path/'other').exists() and 'sum' in err


def test_doctor_in_a_process_of_its_own(tmp_path):
    done = subprocess.run([MOT, 'doctor'], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ('python', 'memory', 'disk', 'GPU', 'bfloat16', 'smollm2-135m'): assert word in done.stdout


@pytest.fixture
def hostile(mot, tmp_path):
    "An empty folder with files that are none of what a command reads."
    (tmp_path/'bad.yaml').write_text('train: {lr: [1,\n')
    (tmp_path/'list.yaml').write_text('[1, 2]')
    (tmp_path/'binary').write_bytes(bytes(range(256))*4)
    (tmp_path/'folder').mkdir()
    (tmp_path/'file').write_text('x')
    return mot


NAMES = ['bad.yaml', 'binary', 'folder', 'list.yaml', 'none/such', 'smoke/toi', 'red\x1b[31m', 'x'*5000, '']
ASKED = ('--pool', 'toy', '--n', '2', 'eval.max_new_tokens=8', '--quiet')
SAMPLED = (*ASKED, '--k', '1')


@pytest.mark.parametrize('argv', [
    *[(c, n) for c in ('run', 'plan') for n in NAMES], *[(c, n, *ASKED) for c in ('eval', 'traces') for n in NAMES],
    *[('merge', 'out', n, n) for n in NAMES], *[('report', n) for n in NAMES],
    ('run', 'smoke/toy', 'student.name=folder'), ('run', 'smoke/toy', 'data.pool=folder', 'data.path=binary'),
    ('run', 'smoke/toy', '--device', 'tpu'), ('eval', 'toy-tiny', '--set', 'aime24=binary'),
    ('eval', 'toy-tiny', '--set', 'aime24=folder'), ('eval', 'toy-tiny', '--url', 'nonsense', *ASKED),
    ('traces', 'toy-tiny', '--set', 'boba200=binary'), ('traces', 'toy-tiny', '--against', 'aime99'),
    ('merge', 'out', 'folder', 'folder', '--dtype', 'int9'),
    ('plan', 'smoke/toy', 'data.pool=folder', 'data.path=binary')],
    ids=lambda argv: ' '.join(argv)[:40].replace('\x1b', 'ESC'))
def test_what_cannot_be_read_is_one_error(hostile, argv):
    "Broken, binary and missing files, folders in their place, unknown and nasty names: a `MotError`, and no fault."
    code, out, err = hostile(*argv)
    assert code == 1 and 'fault of mot_nb' not in err and '\x1b' not in out + err, (code, out, err)
    assert len([l for l in err.splitlines() if l.startswith('  where:')]) <= 1 and err.strip()


@pytest.mark.parametrize('argv', [
    ('run', 'smoke/toy'), ('eval', 'toy-tiny', *ASKED), ('traces', 'toy-tiny', *SAMPLED), ('report', 'smoke')],
    ids=lambda argv: argv[0])
@pytest.mark.parametrize('out', ['file/x', '/proc/x', 'folder/..'])
def test_where_nothing_can_be_written(hostile, argv, out):
    "A path below a file, a file system that takes no files, and the user's own folder: refused, nothing is added."
    before = sorted(os.listdir())
    code, shown, err = hostile(*argv, '--out', out)
    if (argv[0], out) == ('traces', 'folder/..'): return    # a folder of traces may hold other files
    assert code == 1 and 'fault of mot_nb' not in err, (code, shown, err)
    assert set(os.listdir()) - {'.lock'} == set(before)


NO_SIZES = [('memory', 'nan'), ('rate', 'inf'), ('tokens-per-second', '-inf'), ('gpus', '0'), ('gpus', 10**14),
            ('memory', '1e30'), ('rate', '-0'), ('answer-tokens', '1e300'), ('trace-tokens', 'nan')]


@pytest.mark.parametrize('option, value', NO_SIZES)
def test_plan_takes_numbers_only(mot, option, value):
    code, out, err = mot('plan', 'smoke/toy', f'--{option}={value}')
    assert code == 1 and 'number above 0' in err and f'--{option}' in err


@pytest.mark.parametrize('argv, option', [
    (('eval', 'toy-tiny', *ASKED, '--seed', '-5'), '--seed'), (('eval', 'toy-tiny', *ASKED, '--seed', 2**63), '--seed'),
    (('eval', 'toy-tiny', '--pool', 'toy', '--n', '-1'), '--n'),
    (('traces', 'toy-tiny', *SAMPLED, '--seed=-1'), '--seed'),
    (('traces', 'toy-tiny', *SAMPLED, '--ngram', '0'), '--ngram'),
    (('traces', 'toy-tiny', *ASKED, '--k', '0'), 'eval.k'), (('run', 'smoke/toy', 'seeds=[-1]'), 'seeds'),
    (('run', 'smoke/toy', 'student.seed=-1'), 'student.seed')])
def test_numbers_that_no_option_has(mot, tmp_path, argv, option):
    "Refused before anything is loaded or written."
    code, out, err = mot(*argv)
    assert code == 1 and f'where: {option}' in err and not list(tmp_path.iterdir()), err


@pytest.mark.parametrize('files', [['README.md'], ['notes/', 'a.txt'], ['model.safetensors']])
def test_a_merge_leaves_a_folder_of_notes_alone(tmp_path, files):
    "It says what lies there, and where the result could go instead."
    from mot_nb.core.errors import MotError
    from mot_nb.student.weight_files import check_target
    out = tmp_path/'out'
    for f in files: (out/f).mkdir(parents=True) if f.endswith('/') else out.mkdir(exist_ok=True)
    for f in files: f.endswith('/') or (out/f).write_text('x')
    with pytest.raises(MotError, match='is not a student') as e: check_target(out, [tmp_path/'a'])
    assert files[0].strip('/') in e.value.values and 'out/merged' in e.value.cure


@pytest.mark.parametrize('header', [b'\xff'*8 + b'{}', (2**62).to_bytes(8, 'little') + b'{', b'\0'*8, b'abc', b''])
def test_a_header_of_any_length_is_read_carefully(mot, tmp_path, header):
    "The header of a safetensors file says how long it is: 4 EiB, 0, or no whole number."
    from mot_nb.student.models import byte_tokenizer, save_student, tiny_qwen3
    tokenizer = byte_tokenizer()
    save_student(tmp_path/'a', tiny_qwen3(len(tokenizer)), tokenizer)
    (tmp_path/'a'/'model.safetensors').write_bytes(header)
    for argv in (('merge', 'out', 'a', 'a'), ('plan', 'smoke/toy', 'student.name=a', '--gpus', '1', '--dry-run')):
        code, out, err = mot(*argv)
        assert code == 1 and 'not a whole safetensors file' in out + err and 'fault' not in err, (argv, out[-300:], err)


def test_names_do_not_command_a_terminal(mot, tmp_path):
    "A run's name, its folder and a student's: escape codes and direction marks are shown by number."
    nasty, name = 'a\x1b]0;taken\x07\u202eb', 'a\u202eb'        # YAML takes no control characters
    code, out, err = mot('run', *SMALL, f'name={name}', '--out', tmp_path/nasty, '--quiet')
    assert code == 0 and 'U+001B' in out and 'U+202E' in out and not set('\x1b\x07\u202e') & set(out + err)
    code, out, err = mot('plan', 'smoke/toy', f'name={name}', '--rate', '1', '--gpus', '1')
    assert code == 0 and 'U+202E' in out and '\u202e' not in out
    code, out, err = mot('merge', 'out', nasty)
    assert code == 1 and 'U+001B' in err and not set('\x1b\u202e') & set(err)


@pytest.mark.parametrize('command', ['doctor', 'run --help', 'plan smoke/toy --gpus 1'])
def test_a_closed_pipe_is_no_error(command, tmp_path):
    "`mot ... | head -1`: nothing is said, and the exit code is a shell's own."
    pipe = subprocess.PIPE
    p = subprocess.Popen([MOT, *command.split()], stdout=pipe, stderr=pipe, text=True, cwd=tmp_path)
    p.stdout.close()
    assert p.stderr.read() == '' and p.wait() in (0, 141)      # 0: argparse itself passes over it


def test_a_fault_is_told_in_one_line(mot, monkeypatch):
    "What nobody has foreseen: no traceback, its place, and how to see all of it."
    def broken(args): raise KeyError('x')
    monkeypatch.setitem(__import__('mot_nb.app.cli').app.cli.COMMANDS, 'doctor', broken)
    code, out, err = mot('doctor')
    assert code == 1 and "KeyError: 'x'" in err and 'MOT_TRACEBACK' in err
    monkeypatch.setenv('MOT_TRACEBACK', '1')
    with pytest.raises(KeyError): mot('doctor')
