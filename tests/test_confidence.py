"Few problems that agree by chance, the sign of a drop, and intervals of many problems as they were."
import math

import numpy as np
import pytest

from mot_nb.analysis.changes import change_by_label
from mot_nb.analysis.confidence_record import confidence_rows
from mot_nb.analysis.drops import auc_gap, drop_auc, half_of_influences
from mot_nb.analysis.scored_traces import Scored, with_agreement
from mot_nb.core.intervals import half_width, t_quantile


def agreeing(problems, tokens=24, students=('std-plain-r1', 'mot-r1'), noise=.002):
    "Traces of problems that say nearly the same, as four once did: a mean change of -0.119 within .005."
    rng = np.random.default_rng(0)
    labels = {'truth': ('quirk', 'shared')*(tokens//2)}
    change = {s: rng.normal(-.12, .4, tokens) for s in students}
    def trace(i):
        after = {s: tuple(-2 + c + noise*rng.normal(size=tokens)) for s, c in change.items()}
        logprob = {'base': (-2.,)*tokens, **after}
        return Scored(f'p{i}', 'plain', ('a',)*tokens, labels, logprob, best={s: ('',)*tokens for s in logprob})
    return [trace(i) for i in range(problems)]


def independent(scored, student, label):
    "Half of the interval of the mean change if every token were independent, t of the problems."
    c = np.array([x for s in scored for x, l in zip(s.change(student), s.labels['truth']) if l == label])
    return t_quantile(.975, len(scored) - 1)*c.std(ddof=1)/len(c)**.5


def test_mean_change_of_four_problems():
    """The shown case: the interval of four problems that agree by chance is that of independent tokens, not of the
    problems."""
    scored = agreeing(4)
    for row in change_by_label(scored, ['mot-r1']):
        half = row['hi'] - row['value']
        assert half == pytest.approx(independent(scored, 'mot-r1', row['label'])) and half > .05


@pytest.mark.parametrize('problems', [2, 4, 9])
def test_auc_and_gap_of_few_problems(problems):
    "An AUC and the gap of two students have the floor too, also of marked tokens and at equal confidence."
    scored = agreeing(problems)
    for how in ({}, {'marked': .1}, {'matched': True}):
        a, b = (drop_auc(scored, s, **how) for s in ('mot-r1', 'std-plain-r1'))
        floor = t_quantile(.975, problems - 1)
        for x in (a, b, auc_gap(a, b)):
            assert half_of_influences(x.influence) < floor*x.error
            assert x.hi == pytest.approx(min(1, x.value + floor*x.error))
        assert auc_gap(a, b).error == pytest.approx(math.hypot(a.error, b.error))


def test_ten_problems_have_no_floor():
    "From ten problems on nothing changes, and a wide interval of few problems is left alone."
    scored = agreeing(10)
    a = drop_auc(scored, 'mot-r1')
    assert a.hi - a.value == pytest.approx(half_of_influences(a.influence)) and a.hi - a.value < .02
    wide = agreeing(4, noise=3.)
    w = drop_auc(wide, 'mot-r1')
    assert w.hi - w.value >= t_quantile(.975, 3)*w.error - 1e-12


def test_floor_is_not_in_the_record():
    "Rows of the record have the fields they had."
    rows = confidence_rows([agreeing(4)])
    assert not any({'error', 'influence'} & set(r) for r in rows)
    assert {r['kind'] for r in rows} == {'auc', 'gap', 'change'}


@pytest.mark.parametrize('sign', [-1, 1])
def test_negative_is_a_drop(sign):
    "Quirks that dropped have an AUC of 1 and all are marked; quirks that rose 0, and none is."
    traces = [Scored(f'p{i}', 'plain', ('a', 'b'), {'truth': ('quirk', 'shared')},
                     {'base': (-1., -1.), 'after': (-1 + sign*.5, -1 - sign*.5)},
                     best={'base': ('', ''), 'after': ('', '')}) for i in range(3)]
    dropped = sign < 0
    assert drop_auc(traces, 'after').value == dropped
    quirk = next(r for r in change_by_label(traces, ['after']) if r['label'] == 'quirk')
    assert quirk['value'] == sign*.5 and quirk['marked'] == dropped


def test_a_gap_has_the_sign_of_its_first_student():
    "Quirks drop under one student and rise under the other: the gap is the difference, whichever stands first."
    logprob = {'base': (-1., -1.), 'drops': (-1.5, -1.), 'rises': (-.5, -1.)}
    labels, best = {'truth': ('quirk', 'shared')}, {s: ('', '') for s in logprob}
    traces = [Scored(f'p{i}', 'plain', ('a', 'b'), labels, logprob, best=best) for i in range(3)]
    a, b = (drop_auc(traces, s) for s in ('drops', 'rises'))
    assert (a.value, b.value, auc_gap(a, b).value, auc_gap(b, a).value) == (1, 0, 1, -1)
    marked = [drop_auc(traces, s, marked=.1).value for s in ('drops', 'rises')]
    assert marked == [1, .5]


def told(changes, labels, before=-2., teacher='plain', problem='p0'):
    "One trace under base and student with these changes in nats."
    base = (before,)*len(changes)
    logprob = {'base': base, 'after': tuple(b + c for b, c in zip(base, changes))}
    best = {s: ('',)*len(changes) for s in logprob}
    return Scored(problem, teacher, ('a',)*len(changes), {'truth': tuple(labels)}, logprob, best=best)


def test_tokens_are_compared_within_a_teacher():
    "One teacher's tokens all drop, mostly quirks, the other's stay, mostly shared: no difference within either."
    scored = [told((-1.,)*4, ['quirk']*3 + ['shared'], teacher='a'),
              told((0.,)*4, ['quirk'] + ['shared']*3, teacher='b')]
    assert drop_auc(scored, 'after').value == .5 < drop_auc(scored, 'after', within='all').value == .75


def test_seeds_and_problems_both_widen_an_auc():
    "Influences of a mean give its t interval; seeds that disagree add theirs."
    x = np.array([1., 2., 4., 9.])
    assert half_of_influences(dict(enumerate((x - x.mean())/4))) == pytest.approx(half_width(x))
    labels = ['quirk']*4 + ['shared']*4
    def seed(n): return [told([-1.]*n + [1.]*(4 - n) + [0.]*4, labels, problem=f'p{i}') for i in range(12)]
    of = drop_auc([seed(n) for n in (1, 2, 3)], 'after')
    assert of.by_seed == (.25, .5, .75) and of.hi == min(1., .5 + half_width(of.by_seed)) and of.hi > .9


def test_agreement_is_that_of_the_others():
    said = {'a': ('x', ' y', ' z', '.'), 'b': ('x', ' y', ' w', '.'), 'c': ('x', ' v', ' u', '.')}
    labelled = with_agreement([Scored('p', t, texts) for t, texts in said.items()])
    assert labelled[0].labels['agreement'] == ('all', 'some', 'none', 'all')
    assert with_agreement([Scored('p', 'a', said['a'])])[0].labels['agreement'] == ('',)*4
