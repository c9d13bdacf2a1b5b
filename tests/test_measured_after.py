"Students that are measured after the training, each process its own: the same numbers, and what can go wrong."
import os
import shutil
import subprocess
import sys

import pytest

from mot_nb.core.errors import MotError
from mot_nb.methods import maker as made
from mot_nb.methods.runs import measure_run, read_run, run, seed_folder
from ranks import environment_of, free_port

SETTINGS = {'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 16,
                                                      'n_heldout': 6},
            'train': {'steps': 2, 'batch': 4, 'compute': 'float32'}, 'rounds': {'rounds': 2, 'keep': 'mot'},
            'eval': {'loss_rows': 4, 'max_new_tokens': 24, 'temperature': .7}}


def settings(**of_eval):
    "The settings with other `eval`."
    return {**SETTINGS, 'eval': {**SETTINGS['eval'], **of_eval}}


def kept(out):
    "Names of the students on disk."
    return sorted(p.name for p in (seed_folder(out, 0)/'students').iterdir())


@pytest.fixture(scope='module')
def during(tmp_path_factory):
    "A run that measures each student when it is trained, and keeps all."
    asked = {**settings(), 'rounds': {**SETTINGS['rounds'], 'keep': 'all'}}
    return run(asked, tmp_path_factory.mktemp('runs')/'during', progress=False)


def test_the_same_numbers_and_answers(during, tmp_path):
    after = run(settings(after=True), tmp_path/'after', progress=False)
    assert after.rows == during.rows
    for label in {r['student'] for r in after.rows}:
        answers = [(seed_folder(x.folder, 0)/'samples'/f'{label}.jsonl').read_bytes() for x in (after, during)]
        assert answers[0] == answers[1], label
    assert kept(after.folder) == ['mot-r2']      # the others were on disk until they were measured


def test_a_stop_between_two_students_loses_nothing(during, tmp_path, monkeypatch):
    real, seen = made.measured_apart, []
    def stops(*how):
        seen.append(how)
        if len(seen) == 3: raise KeyboardInterrupt
        return real(*how)
    monkeypatch.setattr(made, 'measured_apart', stops)
    with pytest.raises(KeyboardInterrupt): run(settings(after=True), tmp_path/'after', progress=False)
    before = len(seen)
    resumed = run(settings(after=True), tmp_path/'after', progress=False)
    assert resumed.rows == during.rows
    students = len({r['student'] for r in resumed.rows})
    assert len(seen) == before + students - 2    # two were measured; no student was measured twice


def test_a_run_is_measured_again_with_more_samples(during, tmp_path):
    out = tmp_path/'more'
    shutil.copytree(during.folder, out)
    more = measure_run(out, ['eval.k=2'], progress=False)
    assert {r['k'] for r in more.rows if r['metric'] == 'accuracy'} == {2}
    assert read_run(out).rows == more.rows
    assert [r['hash'] for r in more.rows] == [r['hash'] for r in during.rows]


def test_two_processes_share_the_students(during, tmp_path):
    alone, shared = tmp_path/'alone', tmp_path/'shared'
    for out in (alone, shared): shutil.copytree(during.folder, out)
    words, port = ['eval', str(shared), 'eval.k=2', '--device', 'cpu'], free_port()
    command = [sys.executable, '-m', 'mot_nb', *words]
    ranks = [subprocess.Popen(command, env={**os.environ, **environment_of(r, 2, port)}) for r in range(2)]
    assert [p.wait(240) for p in ranks] == [0, 0]
    assert read_run(shared).rows == measure_run(alone, ['eval.k=2'], progress=False).rows
    said = ''.join(p.read_text() for p in (shared/'logs').glob('rank-*.log'))
    assert 'accuracy' in said


def test_a_student_that_was_not_kept_is_named(tmp_path):
    out = run(settings(), tmp_path/'few', progress=False).folder
    before = read_run(out).rows
    with pytest.raises(MotError, match="(?s)not kept.*std-plain") as e: measure_run(out, ['eval.k=2'], progress=False)
    assert 'rounds.keep=all' in str(e.value)
    assert read_run(out).rows == before          # what was there is there


def test_changed_weights_are_refused(during, tmp_path):
    from safetensors.torch import load_file, save_file
    out = tmp_path/'changed'
    shutil.copytree(during.folder, out)
    file = seed_folder(out, 0)/'students'/'mot-r2'/'model.safetensors'
    state = load_file(file)
    first = min(state)
    save_file({**state, first: state[first] + .01}, file)
    with pytest.raises(MotError, match='(?s)other weights.*mot-r2'): measure_run(out, ['eval.k=2'], progress=False)


def test_options_that_a_run_has_answered(during, capsys):
    from mot_nb.app.cli import main
    assert main(['eval', str(during.folder), '--pool', 'words', '--n', '3']) == 1
    assert "['--pool', '--n']" in capsys.readouterr().err


def test_another_engine_may_measure_what_several_processes_trained(tmp_path, monkeypatch):
    from contextlib import ExitStack
    from mot_nb.core.settings import load_settings
    from mot_nb.methods import runs
    monkeypatch.setattr(runs, 'pick_engine', lambda name: name)
    asked = [load_settings(settings(engine='vllm', after=after)) for after in (True, False)]
    with ExitStack() as lock: assert runs.begin_run(asked[0], tmp_path/'a', 8, lock)['manifest']['engine'] == 'vllm'
    with ExitStack() as lock, pytest.raises(MotError, match='eval.after=true'):
        runs.begin_run(asked[1], tmp_path/'b', 8, lock)


def test_mot_eval_answers_in_the_type_of_the_run(tmp_path, capsys):
    "A kept student asked by `mot eval` gives its run's answers and first line, in bfloat16, and says which type."
    from mot_nb.app.cli import main
    asked = {**SETTINGS, 'train': {**SETTINGS['train'], 'compute': 'bfloat16'},
             'eval': {**SETTINGS['eval'], 'temperature': 0., 'every_round': False}}
    found = run(asked, tmp_path/'run', progress=False)
    folder = seed_folder(found.folder, 0)
    words = ['eval', folder/'students'/'mot-r2', '--pool', 'toy', '--n', 6, '--out', tmp_path/'own.jsonl',
             'eval.max_new_tokens=24']
    assert main([*map(str, words), 'train.compute=bfloat16']) == 0
    assert 'bfloat16' in capsys.readouterr().err
    own, runs = ((p.read_text().splitlines()) for p in (tmp_path/'own.jsonl', folder/'samples'/'mot-r2.jsonl'))
    assert own == runs and '"dtype": "bfloat16"' in own[0]
    assert main([*map(str, words), 'train.compute=float32']) == 1          # the file is of another type
    assert 'another model or of other settings' in capsys.readouterr().err
