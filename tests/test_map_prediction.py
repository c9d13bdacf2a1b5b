"""The map's prediction before training: nothing leaks from what is asked into what is learnt, and the records are those
of the library."""
import itertools
from dataclasses import replace

import numpy as np
import pytest

from mot_nb.analysis.before_training import world_features
from mot_nb.analysis.map_prediction import FEATURES, calibration, halves, map_cases, predict_other_half, split_auc
from mot_nb.analysis.world_map import map_worlds
from mot_nb.core.records import read_recorded, recorded
from mot_nb.views.map_dials import place_at, place_options


@pytest.fixture(scope='module')
def before():
    "The recorded features of every world and seed."
    return read_recorded(recorded('map/before'))[1]


@pytest.fixture(scope='module')
def rows():
    "The recorded map."
    return read_recorded(recorded('map/toy'))[1]


@pytest.fixture(scope='module')
def cases(rows, before):
    "Cases of the map against the union at equal compute."
    return map_cases(rows, before, 'mtd compute')


def test_worlds_that_share_traces_stay_together(rows, before, cases):
    "Worlds that differ in the number of teachers alone stand on one side of every split: they share their traces."
    both = map_cases(rows, before, 'mtd compute', pooled=True)
    for w in np.unique(both.world): assert {*both.features['teachers'][both.world == w]} == {3, 5}
    learnt = halves(cases.world)
    predicted = predict_other_half(cases, ('error',), learnt)
    for p, worlds in zip(predicted, learnt):
        assert not {*cases.world[~np.isnan(p)]} & {*worlds} and len(worlds) == len(np.unique(cases.world)) // 2


def test_what_is_asked_is_not_learnt(cases):
    "Changing the outcome of the tested worlds does not change what is predicted of them."
    learnt = halves(cases.world, 2)
    turned = replace(cases, gap=np.where(np.isin(cases.world, learnt[0]), 1, -1) * cases.gap)
    first = [predict_other_half(c, FEATURES['all'], learnt[:1])[0] for c in (cases, turned)]
    np.testing.assert_array_equal(*first)


def test_a_coin_is_called_a_coin(cases):
    "Outcomes drawn at random are predicted no better than by a coin, and the interval says so."
    rng = np.random.default_rng(1)
    inside, draws = 0, 10
    for _ in range(draws):
        coin = replace(cases, gap=rng.choice([-1., 1.], len(cases.gap)))
        _, lo, hi = split_auc(predict_other_half(coin, FEATURES['answers'], halves(coin.world, 6)), coin)
        inside += lo < .5 < hi
    assert inside >= 7


def test_a_known_chance_is_found_and_calibrated(cases):
    "Where the features decide the chance of each outcome, the AUC is that of the true chances, the dots near the line."
    rng = np.random.default_rng(0)
    true = 1 / (1 + np.exp(-1.5 * (cases.features['log epochs'] - np.mean(cases.features['log epochs']))))
    known = replace(cases, gap=np.where(rng.random(len(true)) < true, 1., -1.))
    learnt = halves(known.world)
    predicted = predict_other_half(known, ('log epochs',), learnt)
    best = np.where(np.isnan(predicted), np.nan, true)
    assert abs(split_auc(predicted, known)[0] - split_auc(best, known)[0]) < .01
    assert all(abs(d['value'] - d['predicted']) < .12 for d in calibration(predicted, known))


@pytest.mark.parametrize('i, seed', [(0, 0), (50, 1), (83, 3)])
def test_recorded_features(before, i, seed):
    "The recorded features of a world are those that the library computes now."
    from mot_nb.methods.stacked_labs import Bench
    world = map_worlds()[i]
    found = world_features(Bench('toy-tiny', seed % 2), world, seed)
    wanted, = (r for r in before if r['seed'] == seed and all(r[k] == v for k, v in vars(world).items()))
    for k, v in found.items(): assert v == pytest.approx(wanted[k], abs=2e-3), k


def test_every_setting_of_the_dials_is_a_place(rows):
    "Whatever the dials say, the record has the place, and no two settings are the same one."
    options = place_options(rows)
    found = {place_at(rows, dict(zip(options, chosen))) for chosen in list(itertools.product(*options.values()))[::9]}
    assert len(found) == 252 // 9
