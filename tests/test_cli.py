"`mot` as a user types it: exit codes, errors without a traceback, and every command going on where it stopped."
import subprocess, sys
from pathlib import Path

import pytest

import house
from mot_nb.app.cli import main

SMALL = ['smoke/words', 'data.n_train=6', 'data.n_heldout=4', 'data.teachers=worked,equations', 'rounds.rounds=1', 'rounds.methods=mot', 'train.steps=1']


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
    ((), 2, ''), (('dcotor',), 2, "did you mean 'doctor'"), (('report', 'smoke', '--quite'), 2, '--quiet'), (('run',), 2, 'SETTINGS'),
    (('run', 'none.yaml'), 1, 'cannot be read'), (('run', 'smoke/toy', 'train.step=3'), 1, "did you mean 'train.steps'"), (('run', 'smoke/toy', 'train.steps=many'), 1, 'wrong type'),
    (('run', 'smoke/toy', 'train.steps=0'), 1, 'out of range'), (('eval', 'smollm', '--pool', 'toy'), 1, 'smollm2-135m'), (('eval', 'toy', '--pool', 'wordz'), 1, "did you mean 'words'"),
    (('merge', 'out', 'none'), 1, ''), (('report', 'smok'), 1, "did you mean 'smoke'")])
def test_errors(mot, argv, code, says):
    got, out, err = mot(*argv)
    assert got == code and says in out + err, (got, out, err)


def test_run_goes_on_and_refuses_other_settings(mot, tmp_path):
    code, first, err = mot('run', *SMALL, '--out', 'a', '--quiet')
    assert code == 0 and 'mot' in first, err
    before = (tmp_path/'a'/'metrics.jsonl').stat().st_mtime_ns
    code, again, _ = mot('run', *SMALL, '--quiet', '--out', 'a')
    assert code == 0 and again == first and (tmp_path/'a'/'metrics.jsonl').stat().st_mtime_ns == before
    code, _, err = mot('run', *SMALL, 'train.lr=0.5', '--out', 'a')
    assert code == 1 and 'train.lr' in err and (tmp_path/'a'/'metrics.jsonl').stat().st_mtime_ns == before


def test_eval_goes_on_with_its_file(mot, tmp_path):
    command = ('eval', 'qwen3-tiny', '--pool', 'words', '--n', '6', 'eval.max_new_tokens=4', 'eval.k=2', 'eval.temperature=1.0', '--out', 'a.jsonl', '--quiet')
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
    done = subprocess.run([str(Path(sys.executable).parent/'mot'), 'doctor'], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ('python', 'memory', 'disk', 'GPU', 'bfloat16', 'smollm2-135m'): assert word in done.stdout
