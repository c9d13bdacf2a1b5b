"The script of SmolLM2's study: each method gets its own rate, and a killed recording goes on."
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import house
from mot_nb.core.errors import MotError
from mot_nb.core.settings import profile_settings
from mot_nb.methods.recorded import read_record
import record_words
from record_words import METHODS, asked_of, best_by_method, best_rate, rates_to_try

TINY = ['rounds.rounds=1', 'train.steps=1', 'data.n_train=8', 'eval.max_new_tokens=4']


def test_each_method_has_its_own_rate():
    "The highest on the choosing problems, the lower rate of equals; at an edge the next rate is tried, four at most."
    found = {'mot': {1: .5, 2: .6}, 'std': {1: .5, 2: .5}, 'oneshot': {1: .5, 2: .6, 4: .6},
             'mtd-depth': {1: .1, 2: .2, 4: .3, 8: .4}}
    assert {m: best_rate(by) for m, by in found.items()} == {'mot': 2, 'std': 1, 'oneshot': 2, 'mtd-depth': 8}
    assert rates_to_try(found) == {4: ['mot'], .5: ['std']}
    assert asked_of(['oneshot', 'mtd-compute']) == ('rounds.methods=[std,oneshot,mtd]', 'rounds.mtd_budgets=[compute]')
    assert asked_of(['mot']) == ('rounds.methods=[mot]', 'rounds.mtd_budgets=[depth]')


def test_an_arm_takes_the_rates_of_another(tmp_path, monkeypatch):
    "Those of the arm it was tuned on, which are in its command; without one it is tuned itself."
    asked = SimpleNamespace(arm='errors', tuned_on='clean', rates='1,2,4', work=tmp_path, seeds='0', problems=150,
                            settings='long/words', record=None, set=[])
    best = {'clean': 2, 'errors': 4}
    monkeypatch.setattr(record_words, 'at_rate', lambda asked, arm, rate, methods: dict.fromkeys(
        methods, float(rate == best[asked.arm])))
    monkeypatch.setattr(record_words, 'best_by_method', lambda values: values)
    assert record_words.tuned(asked) == dict.fromkeys(METHODS, 2)
    assert record_words.command(asked, [0, 3]).endswith(' WORK --arm errors --tuned-on clean --seeds 0,3')
    assert 'of the clean arm' in record_words.told(asked)
    asked.problems, asked.set = 20, ['train.steps=1']
    said = record_words.command(asked, [0])
    assert said.endswith(' --tuned-on clean --problems 20 --set train.steps=1 --seeds 0')
    asked.tuned_on = None
    assert 'clean' not in record_words.told(asked)
    assert set(record_words.tuned(asked).values()) == {4}


def test_a_pool_half_written_is_written_again(tmp_path):
    "A teacher that a killed recording left out is there at the next start."
    record_words.arm_settings('errors', tmp_path)
    lost = tmp_path/'erring'/'teachers'/'narrative.jsonl'
    before = lost.read_bytes()
    lost.unlink()
    record_words.arm_settings('errors', tmp_path)
    assert lost.read_bytes() == before


def test_a_record_of_other_settings_is_kept():
    "What took hours is not replaced by a run of other settings under its name."
    path, settings = house.ROOT/'data'/'recorded'/'runs'/'words.jsonl', profile_settings('long', 'words')
    assert record_words.recorded(path, settings).settings.seeds == settings.seeds
    with pytest.raises(MotError, match='other settings'):
        record_words.recorded(path, profile_settings('long', 'words', ['data.n_heldout=10']))


@pytest.mark.long
@pytest.mark.parametrize('arm', ['errors'])
def test_a_tiny_study(tmp_path, arm):
    "Two rates, one seed; the second call changes nothing; one elsewhere adds a seed and makes nothing else again."
    tools = str(house.ROOT/'tests'/'tools')
    words = [sys.executable, f'{tools}/record_words.py', str(tmp_path/'work'), '--arm', arm, '--rates', '1e-3,2e-3',
             '--seeds', '0', '--problems', '6', '--out', str(tmp_path/'out'), '--settings', 'smoke/words', '--set',
             *TINY]
    env = {**os.environ, 'PYTHONPATH': f'{tools}:{house.ROOT}'}
    subprocess.run(words, check=True, env=env, cwd=house.ROOT)
    files = sorted((tmp_path/'out').rglob('*.jsonl'))
    before = [f.read_bytes() for f in files]
    rates, run = sorted((tmp_path/'out'/'rates').iterdir()), tmp_path/'out'/'runs'/f'words-{arm}.jsonl'
    assert len(rates) >= 3 and len(files) == len(rates) + 1 and all(f'words-{arm}-' in f.name for f in rates)
    tried = [set(best_by_method(read_record(f)[0])) for f in rates]
    assert sum(t == set(METHODS) for t in tried) >= 2 and set().union(*tried) == set(METHODS)
    assert set(read_record(run)[0].settings.rounds.rates) == set(METHODS)
    subprocess.run(words, check=True, env=env, cwd=house.ROOT)
    assert [f.read_bytes() for f in files] == before
    assert str(tmp_path) not in run.read_text()
    alone = read_record(run)[0]
    elsewhere = [str(tmp_path/'other') if w == str(tmp_path/'work') else '0,1' if w == '0' else w for w in words]
    subprocess.run(elsewhere, check=True, env=env, cwd=house.ROOT)
    both = read_record(run)[0]
    assert both.settings.seeds == (0, 1) and both.rows[:len(alone.rows)] == alone.rows
    assert sorted(p.name for p in (tmp_path/'other').iterdir()) == ['erring', f'{arm}-1']
