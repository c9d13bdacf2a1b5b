"The registry of methods: what each learns from, and that the recorded table holds all of them."
import numpy as np
import pytest
import torch

from mot_nb.core.errors import MotError
from mot_nb.core.records import read_recorded, recorded
from mot_nb.core.settings import load_settings
from mot_nb.data.corpora import MaskedRow
from mot_nb.data.problems import is_correct
from mot_nb.data.worlds import World, world_pool
from mot_nb.methods.stacked_labs import Bench, StackedLab
from mot_nb.analysis.many_methods import WAYS, learn, majority_corpora
from mot_nb.analysis.method_table import REFERENCE, method_differences
from mot_nb.analysis.method_units import RATES_TRIED, WORLDS

SETTINGS = {'train': {'lr': 1e-3, 'steps': 1, 'batch': 4, 'compute': 'float32'}, 'rounds': {'rounds': 2}}


@pytest.fixture(scope='module')
def lab():
    "Three teachers, each wrong on its own sixth of the operations; nothing filtered."
    torch.set_num_threads(1)
    return StackedLab(Bench(), world_pool(World(3, 'own', 'own', 1/6, False, 60), 0, 1), load_settings(SETTINGS))


def test_what_is_masked_is_not_learnt(lab):
    "The loss of a masked row is that of its learnt tokens alone: two masks that share none make up the whole."
    row = lab.rows['plain'][0]
    n = len(row) - row.n_prompt
    def masked(keep): return MaskedRow(row.problem_id, row.teacher, row.index, row.input_ids, row.n_prompt, keep)
    first = tuple(i < 3 for i in range(n))
    parts = [lab.loss_of(lab.weights(lab.base), [masked(k)]) for k in (first, tuple(not k for k in first))]
    whole = lab.loss_of(lab.weights(lab.base), [row])
    np.testing.assert_allclose((3*parts[0] + (n - 3)*parts[1])/n, whole, rtol=1e-5)
    assert abs(parts[0] - whole) > 1e-3


def test_a_corpus_is_known_by_its_masks(lab):
    "The same ids with another mask are another corpus, and a name stands for one."
    row = lab.rows['plain'][1]
    n = len(row) - row.n_prompt
    def masked(keep): return MaskedRow(row.problem_id, row.teacher, row.index, row.input_ids, row.n_prompt, keep)
    lab.add_corpus('whole', [row])
    lab.add_corpus('all learnt', [masked((True,)*n)])
    lab.add_corpus('one learnt', [masked((True,) + (False,)*(n - 1))])
    assert lab.corpora['whole'] == lab.corpora['all learnt'] != lab.corpora['one learnt']
    lab.add_corpus('whole', [row])
    with pytest.raises(MotError, match='another corpus'): lab.add_corpus('whole', [row, row])
    with pytest.raises(MotError, match='another corpus'): lab.add_corpus('plain', [row])


def test_a_majority_is_more_often_right_than_the_teachers(lab):
    "Where each errs in its own way; and every kept trace has an answer that no other outvotes."
    def share(rows):
        traces = [lab.pool.corpora[r.teacher].traces[r.index] for r in rows]
        return np.mean([is_correct(t.reference, t.completion) for t in traces])
    kept = [r for name in majority_corpora(lab) for r in lab.rows[name]]
    every = [r for t in lab.teachers for r in lab.rows[t]]
    assert len(kept) < len(every) and share(kept) > share(every) + .05


def test_an_unknown_method_is_refused(lab):
    with pytest.raises(MotError, match='PAPA'): learn(lab, 'PAPPA')


def test_the_record_holds_every_method_at_every_rate():
    head, rows = read_recorded(recorded('methods/toy'), 'methods')
    found = {(r['world'], r['seed'], r['method'], r['lr']) for r in rows}
    seeds = head['settings']['seeds']
    assert found == {(w, s, m, lr) for w in WORLDS for s in seeds for m in WAYS for lr in RATES_TRIED}
    assert len(rows) == len(found) and len(seeds) >= 2


def test_nothing_reported_chooses():
    "Other reported numbers leave every rate as it was."
    rows = read_recorded(recorded('methods/toy'))[1]
    rng = np.random.default_rng(0)
    other = [{**r, 'value': [float(rng.random()), r['value'][1]]} for r in rows]
    def rates(of): return {(d['world'], d['method']): d['lr'] for d in method_differences(of)}
    assert rates(rows) == rates(other)
    mine = {d['method']: d['value'] for d in method_differences(rows)}
    assert mine[REFERENCE] == 0
