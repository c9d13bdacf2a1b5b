"Methods with a learning rate of their own: the students are those of runs in which every method has it."
import pytest

from mot_nb.app.explore import Lab
from mot_nb.core.errors import MotError
from mot_nb.core.experiment import identity
from mot_nb.core.settings import load_settings, settings_dict
from mot_nb.methods.methods import merge_of_thought
from mot_nb.methods.runs import planned_work, run

TOY = {'student': {'name': 'toy-tiny'}, 'data': {'teachers': ['plain', 'verbose'], 'n_train': 16, 'n_heldout': 4},
       'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'schedule': 'linear', 'compute': 'float32'},
       'rounds': {'rounds': 2, 'mtd_budgets': ['depth', 'compute'], 'keep': 'all'}, 'eval': {'max_new_tokens': 4}}


def hashes(folder, *changes):
    "(method, teacher or budget, round) -> hash of the student, of a run with these changes."
    made = run(load_settings(TOY, changes), folder, progress=False)
    return {(r['method'], r['teacher'] or r['budget'], r['round']): r['hash'] for r in made.rows}


def test_a_method_has_the_rate_it_is_given(tmp_path):
    "Each method's students are those of the run at its rate; a budget's own rate goes before the baseline's."
    one, two = hashes(tmp_path/'1'), hashes(tmp_path/'2', 'train.lr=2e-3')
    own = hashes(tmp_path/'own', 'rounds.rates={mot: 2e-3, mtd: 2e-3, mtd-compute: 1e-3, oneshot: 2e-3}')
    fast = {k for k in own if k[0] in ('mot', 'oneshot') or k[1] == 'depth'}
    assert own == {k: (two if k in fast else one)[k] for k in own}
    assert all(one[k] != two[k] for k in own if k[0] != 'base')


def test_rates_stay_out_of_runs_without_them():
    "Hashes of runs made before stay; other rates are another experiment."
    plain, own = load_settings(TOY), load_settings(TOY, ['rounds.rates={mot: 2e-3}'])
    assert 'rates' not in settings_dict(plain)['rounds'] and identity(plain) != identity(own)
    assert load_settings(settings_dict(own)) == own


def test_work_counts_what_is_shared():
    "MoT's first branches and the one-shot merge are those of the single teachers only at one rate."
    steps = lambda *changes: planned_work(load_settings(TOY, changes), ['plain', 'verbose'])[0]
    assert steps() == 8 + 4 + 4 + 8
    assert steps('rounds.rates={mot: 2e-3}') == steps() + 4
    assert steps('rounds.rates={oneshot: 2e-3}') == steps() + 8
    assert steps('rounds.rates={std: 2e-3}') == steps() + 4 + 8


@pytest.mark.parametrize('given, where', [('{mott: 1e-3}', 'rounds.rates'), ('{mot: 0}', 'rounds.rates.mot'),
                                          ('{mtd-depth: fast}', 'rounds.rates.mtd-depth'),
                                          ('{mot: true}', 'rounds.rates.mot'), ('1e-3', 'rounds.rates')])
def test_bad_rates_are_refused(given, where):
    "Unknown methods, and what is no learning rate."
    with pytest.raises(MotError) as e: load_settings(TOY, [f'rounds.rates={given}'])
    assert e.value.where == where


def test_a_lab_takes_a_rate_of_its_own(tmp_path):
    "The rate of the call, else that of the settings; what is no rate is refused; a method called as a function runs."
    lab = Lab(load_settings(TOY), out=tmp_path/'lab', progress=False)
    one, same, other = (lab.train(lab.base, 'plain', 1, lr=r) for r in (None, lab.settings.train.lr, 2e-3))
    assert one.key == same.key != other.key and other.path.train.lr == 2e-3
    assert merge_of_thought(lab).step == 4
    for lr in (0, -1e-3, 'fast', float('nan'), True):
        with pytest.raises(MotError): lab.train(lab.base, 'plain', 1, lr=lr)
