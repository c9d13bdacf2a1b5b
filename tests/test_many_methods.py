"The registry of methods: what each learns from, and that the recorded table holds all of them."
import math

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
from mot_nb.analysis.method_units import WORLDS, marks_as_text, marks_from_text

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
    "In every world and seed the same methods at the same rates; marks, where kept, add up to the share."
    rows = read_recorded(recorded('methods/toy'), 'methods')[1]
    found = {(r['world'], r['seed'], r['method'], r['lr']) for r in rows}
    methods, rates = {r['method'] for r in rows}, {r['lr'] for r in rows}
    units = {(r['world'], r['seed']) for r in rows}
    assert found == {(*u, m, lr) for u in units for m in methods for lr in rates} and len(rows) == len(found)
    assert methods == set(WAYS) and {w for w, _ in units} == set(WORLDS)
    for r in (r for r in rows if 'marks' in r):
        assert abs(np.mean(marks_from_text(r['marks'], r['n'])) - r['value'][0]) < 1e-4


def test_marks_are_read_as_they_were_written():
    for n in (1, 3, 4, 5, 99, 100):
        marks = [(i*i) % 7 in (1, 2) for i in range(n)]
        assert marks_from_text(marks_as_text(marks), n) == marks and len(marks_as_text(marks)) == math.ceil(n/4)


def test_nothing_reported_chooses():
    "Other reported numbers leave every rate as it was."
    rows = read_recorded(recorded('methods/toy'))[1]
    rng = np.random.default_rng(0)
    other = [{**r, 'value': [float(rng.random()), r['value'][1]]} for r in rows]
    def rates(of): return {(d['world'], d['method']): d['lr'] for d in method_differences(of)}
    assert rates(rows) == rates(other)
    mine = {d['method']: d['value'] for d in method_differences(rows)}
    assert mine[REFERENCE] == 0
