"Directions, barriers, mixtures and intervals in weight space, on losses whose answers are known."
import math

import pytest
import torch

from mot_nb.analysis.directions import random_direction


def test_what_a_direction_moves():
    "Matrices, each by a draw of its own, both ways; what has one dimension stays. A difference leads to its second."
    from mot_nb.analysis.directions import difference
    matrix = torch.randn(30, 40, generator=torch.Generator().manual_seed(0))
    state = {'a': matrix, 'b': matrix.clone(), 'v': torch.ones(40)}
    for norm in ('filter', 'none'):
        d = random_direction(state, 0, norm)
        assert set(d) == {'a', 'b'} and d.zeroed == ('v',) and .4 < float((d['a'] > 0).float().mean()) < .6
        assert not torch.equal(d['a'], d['b']) and not torch.equal(d['a'], random_direction(state, 1, norm)['a'])
    assert torch.equal(difference(state, {n: t + 1 for n, t in state.items()})['v'], torch.ones(40))


class OneWeight(torch.nn.Module):
    "A student of one weight, whose loss is a function of it."
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, 1))


def test_a_barrier_is_over_the_line_between_its_ends():
    "On a slope there is none; a crest on a slope is as high as on flat ground."
    from mot_nb.analysis.barriers import barrier
    from mot_nb.analysis.lines import between
    ends = {'a': {'weight': torch.zeros(1, 1)}, 'b': {'weight': torch.ones(1, 1)}}
    def found(loss):
        measure = lambda m: [(loss(float(m.weight.detach())), 1)]
        return barrier(between(OneWeight(), ends, (0, .25, .5, .75, 1), measure))
    assert found(lambda w: 1 + 2*w).value == found(lambda w: 3 - 2*w).value == pytest.approx(0)
    for slope in (0, 2, -2):
        top = found(lambda w: 1 + slope*w + math.sin(math.pi*w))
        assert (top.value, top.at, top.a, top.b) == (pytest.approx(1), .5, 'a', 'b')


def test_a_mixture_has_the_weights_it_was_given():
    from mot_nb.analysis.landscape import Walk, fixed_rows
    ends = {'a': {'weight': torch.zeros(1, 1)}, 'b': {'weight': torch.ones(1, 1)}}
    model = OneWeight()
    with Walk(model, lambda m: [(0., 1)]) as walk:
        walk.mix(ends, [.75, .25])
        assert float(model.weight.detach()) == .25
        walk.mix(ends, [-1, 2])
        assert float(model.weight.detach()) == 2
    assert fixed_rows({'plain': 'abc', 'verbose': 'xyz'}, 2) == ['a', 'x', 'b', 'y']


def test_rows_and_directions_both_widen_a_loss_increase():
    from mot_nb.analysis.sharpness import Sharpness
    from mot_nb.core.intervals import half_width
    start = {'value': 1., 'sums': [10., 11., 12.], 'counts': [10, 10, 10]}
    s = Sharpness('a', 'h', .1, 'filter', 0, 'rows', start, (.1, .2, .4), (1., 2., 4.))
    row, of_rows = s.row(), half_width([.1, .2, .4])
    assert row['half_rows'] == pytest.approx(of_rows) and row['over'] == 'directions and rows'
    assert row['hi'] - row['value'] == pytest.approx(2**.5*of_rows) == row['value'] - row['lo']
