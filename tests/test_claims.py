"Claims: on made-up runs with known truth, every claim's verdict follows the sign of its difference."
from types import SimpleNamespace

import numpy as np
import pytest

from mot_nb.analysis.best_teacher import teacher_table
from mot_nb.analysis.claims import Gap, best_std, gap, judge, judge_run, judge_without, ledger, verdict
from mot_nb.analysis.best_judged import judge_best
from mot_nb.analysis.confidence_record import Measured, confidence_rows, judge_consensus
from mot_nb.analysis.forgetting import against, change
from mot_nb.analysis.landscape_record import flatness
from mot_nb.analysis.landscape_runs import compare_sharpness, compared_table, flatness_answer
from mot_nb.analysis.scored_traces import Scored
from mot_nb.analysis.sharpness import Sharpness
from mot_nb.answers.scores import score_marks
from mot_nb.core.errors import MotError
from mot_nb.core.verdicts import EQUAL_WITHIN, VERDICTS

N, SEEDS = 100, (0, 1, 2)


def marks(value, seed):
    "A score of N problems: the first ones are right; seeds differ by one problem."
    return score_marks({f'p{i}': [i < round(value*N) + seed - 1] for i in range(N)})


def run(metric='accuracy', seeds=SEEDS, start='same', **ends):
    "(rows of metrics.jsonl, scores) of a run: mot=.6, std_plain=[.3, .5] for two rounds, mtd_depth=.4, base=..."
    rows, scores = [], {}
    for name, values in ends.items():
        method, _, which = name.partition('_')
        of = {'std': dict(teacher=which), 'mtd': dict(budget=which)}.get(method, {})
        for t, value in enumerate(values if isinstance(values, list) else [values], 1):
            for s in seeds:
                student = f'{name}-r{t}'
                score = scores[s, student] = marks(value, s)
                rows.append(dict(seed=s, method=method, teacher=None, budget=None, round=t, metric=metric, n=N, k=1,
                                 lo=None,
                                 hi=None, value=score.value if metric == 'accuracy' else value, student=student,
                                 hash=start) | of)
    return rows, scores


def judged(number, budget='', **ends):
    "The verdict on one run."
    rows, scores = run(**ends)
    return judge(rows, number, scores=scores, budget=budget).verdict


HIGH, LOW = .7, .3
# claim, students of a run in which the paper is right, the same with the sign flipped
ONE_RUN = {
    '3': (3, dict(mot=HIGH, std_plain=LOW), dict(mot=LOW, std_plain=HIGH)),
    '4, depth': (4, dict(mot=HIGH, mtd_depth=LOW), dict(mot=LOW, mtd_depth=HIGH), 'depth'),
    '4, compute': (4, dict(mot=HIGH, mtd_compute=LOW), dict(mot=LOW, mtd_compute=HIGH), 'compute'),
    '6, ceiling': (6, dict(mot=[.6, .6], std_plain=[.4, .2]), dict(mot=[.4, .4], std_plain=[.6, .4])),
    '6, fall': (6, dict(mot=[.7, .6], std_plain=[.5, .2]), dict(mot=[.7, .4], std_plain=[.5, .5])),
    '7': (7, dict(base=HIGH, std_foreign=LOW), dict(base=LOW, std_foreign=HIGH)),
    '16': (16, dict(mot=HIGH, oneshot=LOW), dict(mot=LOW, oneshot=HIGH))}


@pytest.mark.parametrize('case', ONE_RUN)
def test_a_claim_on_one_run_follows_its_sign(case):
    number, right, flipped, *budget = ONE_RUN[case]
    assert (judged(number, *budget, **right), judged(number, *budget, **flipped)) == ('supported', 'contradicted')


def test_one_budget_does_not_speak_for_the_other():
    "MoT above MTD of equal depth and below MTD of equal compute: two rows, two verdicts."
    rows, scores = run(mot=.5, mtd_depth=LOW, mtd_compute=HIGH)
    found = judge_run(rows, scores=scores, numbers=[4])
    assert [(j.part, j.verdict) for j in found] == [('equal depth', 'supported'), ('equal compute', 'contradicted')]
    with pytest.raises(MotError, match='at one budget'): judge(rows, 4, scores=scores)


@pytest.mark.parametrize('number, ends', [(3, dict(mot=.5, std_plain=.5)),
                                          (4, dict(budget='depth', mot=.5, mtd_depth=.5)),
                                          (6, dict(mot=[.5, .5], std_plain=[.5, .5])),
                                          (7, dict(base=.5, std_foreign=.5)),
                                          (16, dict(mot=.5, oneshot=.5))])
def test_students_that_answer_alike_are_equal(number, ends): assert judged(number, **ends) == 'equal within the margin'


def test_a_difference_that_may_be_large_is_undecided():
    "Three points up in one seed, three down in another: the interval reaches beyond the margin on both sides."
    rows, scores = run(mot=.5, oneshot=.5)
    for s, step in zip(SEEDS, (.1, 0., -.1)):
        scores[s, 'mot-r1'] = marks(.5 + step, s)
        for r in rows:
            if (r['seed'], r['method']) == (s, 'mot'): r['value'] = scores[s, 'mot-r1'].value
    g = judge(rows, 16, scores=scores).measured[0]
    assert g.lo < -EQUAL_WITHIN and g.hi > EQUAL_WITHIN and verdict(g) == 'undecided'


# -- claim 3: every teacher for supported, one for contradicted --------------------------------------------------------

def test_mot_must_be_above_every_teacher():
    "Above one and level with the other: equal. Above one and below the other: contradicted."
    assert judged(3, mot=.6, std_plain=.6, std_verbose=LOW) == 'equal within the margin'
    assert judged(3, mot=.5, std_plain=HIGH, std_verbose=LOW) == 'contradicted'
    assert judged(3, mot=HIGH, std_plain=.5, std_verbose=LOW) == 'supported'


def test_one_of_many_teachers_contradicts_at_its_share_only():
    """MoT is just below one teacher, so that the interval of that pair alone excludes 0: enough where there is one
    teacher, not where there are eight, any of which might have come out so."""
    def said(**others):
        rows, scores = run(mot=.5, std_a=.57, **others)
        for s, step in zip(SEEDS, (.02, 0., -.02)):
            scores[s, 'mot-r1'] = marks(.5 + step, s)
            for r in rows:
                if (r['seed'], r['method']) == (s, 'mot'): r['value'] = scores[s, 'mot-r1'].value
        return judge(rows, 3, scores=scores)
    one, eight = said(), said(**{f'std_{t}': LOW for t in 'bcdefgh'})
    assert (one.verdict, eight.verdict) == ('contradicted', 'undecided')
    assert 'strongest of 8' in eight.measured[0].b and eight.measured[0].value == one.measured[0].value


def test_claim_8_follows_its_sign():
    "MoT with the shifted teacher minus MoT without it: above zero supports the claim that it is better with."
    def said(full, without):
        (a, of_a), (b, of_b) = run(mot=full, base=.2), run(mot=without, base=.2)
        return judge_without(a, b, scores=of_a, scores_without=of_b)
    better, worse = said(HIGH, LOW), said(LOW, HIGH)
    assert (better.verdict, worse.verdict, said(.5, .5).verdict) == \
           ('supported', 'contradicted', 'equal within the margin')
    assert better.measured[0].value > 0 > worse.measured[0].value
    assert (better.measured[0].a, better.measured[0].b) == ('MoT with foreign', 'MoT without foreign')


@pytest.mark.parametrize('number, other', [(1, dict(student='b', corpus='x')), (2, dict(student='a', corpus='y'))])
def test_claims_1_and_2_follow_who_is_best(number, other):
    def cells(place, **teachers):
        return [dict(place, teacher=t, seed=s, score=marks(v, s)) for t, v in teachers.items() for s in SEEDS]
    def said(**second):
        rows = cells(dict(student='a', corpus='x'), plain=HIGH, verbose=LOW) + cells(other, **second)
        return judge_best(teacher_table(rows), number).verdict
    assert said(plain=LOW, verbose=HIGH) == 'supported'
    assert said(plain=HIGH, verbose=LOW) == 'contradicted'
    assert said(plain=.5, verbose=.5) == 'undecided'


def test_claim_10_follows_its_sign_and_that_of_the_metric():
    row = lambda task, metric, items: dict(task=task, metric=metric, n=len(items), items=items, ids='same',
                                           by='offline suite',
                                           value=sum(x if metric == 'accuracy' else x[0]/x[1]
                                                     for x in items)/len(items))
    right, wrong = row('mmlu, letters', 'accuracy', [1.]*40), row('mmlu, letters', 'accuracy', [0.]*30 + [1.]*10)
    few, many = (row('prose', 'bits per byte', [[b + i/100, 10] for i in range(20)]) for b in (10., 20.))
    assert (change(right, wrong).verdict, change(wrong, right).verdict) == ('better', 'worse')
    assert (change(few, many).verdict, change(many, few).verdict) == ('better', 'worse')
    table = against({'base': [wrong, many], 'MoT': [right, few], 'STD': [wrong, many]}, 'MoT')
    assert [(d['a'], d['b'], d['verdict']) for d in table.data] == [('MoT', 'STD', 'better')]*2
    assert table.data[0]['value'] > 0 > table.data[1]['value']


def test_a_difference_has_the_sign_of_its_first_student():
    rows, scores = run(mot=HIGH, base=LOW)
    for of in (scores, None):
        up, down = gap(rows, 'mot', 'base', scores=of), gap(rows, 'base', 'mot', scores=of)
        assert up.value == -down.value == pytest.approx(HIGH - LOW) and up.lo == pytest.approx(-down.hi) and up.lo > 0


def test_less_loss_is_better():
    rows, _ = run('loss', mot=[1., 1.5], std_plain=[1.2, 1.1], std_verbose=[.9, 2.])
    assert best_std(rows, 'loss') == 'std:plain' and best_std(rows, 'loss', 'best') == 'std:verbose'
    assert gap(rows, 'mot', 'std:plain', 'loss').value == pytest.approx(.4)
    # 0.5 worse than its best, against 0
    assert gap(rows, 'mot', 'std:plain', 'loss', 'drop').value == pytest.approx(.5)


@pytest.mark.parametrize('lo, hi, above, below', [(.1, .2, 'supported', 'contradicted'),
                                                  (-.2, -.1, 'contradicted', 'supported'),
                                                  (-.1, .1, 'undecided', 'undecided'),
                                                  (0., .1, 'undecided', 'undecided'),
                                                  (.01, .02, 'equal within the margin', 'equal within the margin'),
                                                  (-.02, .02, 'equal within the margin', 'equal within the margin'),
                                                  (-.02, .03, 'undecided', 'undecided'),
                                                  (None, None, 'undecided', 'undecided')])
def test_a_verdict_is_where_the_interval_lies(lo, hi, above, below):
    g = Gap('a', 'b', 'accuracy', 'last', 0., lo, hi, 'seeds and problems', 3, N)
    assert (verdict(g), verdict(g, 'below')) == (above, below)


def test_a_loss_has_no_margin():
    "0.02 nats are not 2 points: there an interval that excludes 0 decides."
    assert verdict(Gap('a', 'b', 'loss', 'last', 0., .01, .02, 'seeds', 3, N)) == 'supported'


@pytest.mark.parametrize('seeds', [(0,), (0, 1)])
def test_few_seeds_and_uncounted_problems_decide_nothing(seeds):
    for number, right, flipped, *budget in ONE_RUN.values():
        for ends in (right, flipped):
            rows, scores = run(seeds=seeds, **ends)
            how = dict(budget=budget[0] if budget else '')
            assert judge(rows, number, scores=scores, **how).verdict == 'fewer than 3 seeds'
            assert judge(run(**ends)[0], number, **how).verdict == 'problems not counted'


def test_a_ledger_says_what_its_verdicts_mean():
    rows, scores = run(mot=HIGH, std_plain=LOW, oneshot=.7)
    table = ledger([judge(rows, n, 'made up', scores) for n in (3, 16)])
    assert [r[-1] for r in table.rows] == [('supported', True), ('equal within the margin', False)]
    assert all(f'{name}: {meaning}' in table.caption for name, meaning in VERDICTS.items())


# -- claim 6: the ceiling is that of the best round, the fall that of whoever has it -----------------------------------

def test_the_ceiling_is_the_best_round():
    "MoT is higher at its best and lower at the end; both fall alike."
    # the ceiling is higher; the falls are equal, of 20 points on other problems, which is not known to 3 points
    assert judged(6, mot=[.7, .5], std_plain=[.4, .2]) == 'undecided'
    rows, scores = run(mot=[.9, .3], std_plain=[.6, .55])
    ceiling, fall = judge(rows, 6, scores=scores).measured
    assert ceiling.value == pytest.approx(.3) and fall.value == pytest.approx(.55)


def test_the_fall_is_that_of_the_best_ceiling():
    "One teacher is best at its best round, another at the end: it is the first whose fall is compared."
    rows, scores = run(mot=[.7, .6], std_plain=[.6, .2], std_verbose=[.4, .4])
    ceiling, fall = judge(rows, 6, scores=scores).measured
    assert (ceiling.b, fall.b) == ('STD plain (strongest of 2)', 'STD plain') and fall.value == pytest.approx(.1 - .4)


# -- claim 13: drops fall on the style of one teacher, and not on shared reasoning -------------------------------------

def measured(quirk, shared, before=None, seeds=SEEDS, problems=12):
    "A measurement of MoT: changes in nats of quirk and shared tokens, the same in every trace; noise where asked for."
    label = {'truth': ('quirk',)*len(quirk) + ('shared',)*len(shared)}
    base = tuple(before or (-2.,)*len(label['truth']))
    def trace(i, seed):
        noise = np.random.default_rng([i, seed]).normal(size=len(base)) if quirk == shared else np.zeros(len(base))
        after = tuple(b + c + n for b, c, n in zip(base, (*quirk, *shared), noise))
        said = {s: ('',)*len(base) for s in ('base', 'mot-r1')}
        return Scored(f'p{i}', 'plain', ('a',)*len(base), label, {'base': base, 'mot-r1': after}, best=said)
    return Measured({}, confidence_rows([[trace(i, s) for i in range(problems)] for s in seeds]), [])


CONSENSUS = {   # changes of quirk and shared tokens -> the verdict
    'as the paper says': ((-.8,)*4, (.2,)*4, 'supported'),
    'all turned': ((.2,)*4, (-.8,)*4, 'contradicted'),
    'shared reasoning drops a little': ((-.8,)*4, (-.05,)*4, 'contradicted'),
    'shared reasoning rises, but it is marked more often': ((.05,)*4, (-.3, -.3, .9, .9), 'contradicted'),
    'nothing but noise': ((0.,)*4, (0.,)*4, 'undecided')}


@pytest.mark.parametrize('case', CONSENSUS)
def test_claim_13_follows_its_signs(case):
    quirk, shared, verdict = CONSENSUS[case]
    assert judge_consensus(measured(quirk, shared)).verdict == verdict
    assert judge_consensus(measured(quirk, shared, seeds=(0, 1))).verdict == 'fewer than 3 seeds'


def test_claim_13_is_judged_at_equal_confidence():
    "Quirks drop more often because the base is unsure of them; among tokens it is as sure of, shared ones do."
    unsure, sure = -3., -.1
    quirk, shared = (-.5,)*7 + (.1,) + (0.,)*2, (-.5,)*2 + (.5,)*8
    said = judge_consensus(measured(quirk, shared, (unsure,)*8 + (sure,)*2 + (unsure,)*2 + (sure,)*8))
    assert said.verdict == 'contradicted' and 'equal confidence' in said.measured[1]


# -- claim 14: a smaller loss increase is flatter ----------------------------------------------------------------------

def perturbed(label, seed, rises):
    "A made-up `Sharpness` on rows of this seed."
    start = {'value': 1., 'lo': .9, 'hi': 1.1, 'n': 3, 'sums': [10., 11., 12.], 'counts': [10, 10, 10]}
    return Sharpness(label, 'h', .1, 'filter', seed, f'rows of {seed}', start, tuple(rises), (1., 1.1, 1.2))


@pytest.mark.parametrize('of_mot, says', [(.1, 'flatter'), (.3, 'sharper'), (.2, 'no significant difference')])
@pytest.mark.parametrize('seeds', [SEEDS, (0,)])
def test_claim_14_follows_its_sign(of_mot, says, seeds):
    "MoT minus the other, paired direction by direction: below zero is flatter, in verdict, sentence and table."
    m = SimpleNamespace(radii=[.1], last='mot-r2', seeds=seeds, keep=lambda row: None)
    wave = np.array([0., .02, -.02, .01])
    rises = lambda mean, s, turned: mean + wave[::turned] + .001*s
    found = {(s, name, .1): perturbed(name, s, rises(mean, s*turned, turned))
             for s in seeds for name, mean, turned in (('std-plain-r2', .2, -1), ('mot-r2', of_mot, 1))}
    pair, = pairs = compare_sharpness(m, found)
    assert (pair['a'], pair['b']) == ('mot-r2', 'std-plain-r2')
    assert pair['value'] == pytest.approx(of_mot - .2, abs=.003)
    assert flatness(pair) == says == compared_table(pairs).rows[0][2]
    link = {'flatter': 'is **flatter** than', 'sharper': 'is **sharper** than'}
    link = link.get(says, 'has no significant difference from')
    assert f'mot-r2 {link} std-plain-r2' in flatness_answer(m, pairs)


# -- margins -----------------------------------------------------------------------------------------------------------

def test_seeds_that_agree_to_the_last_problem_have_a_width():
    "Without scores: three equal differences do not show that a fourth would be the same."
    rows, _ = run(mot=.6, base=.5)
    for r in rows: r['value'] = .6 if r['method'] == 'mot' else .5
    g = gap(rows, 'mot', 'base')
    assert g.lo < g.value < g.hi and g.hi - g.value == pytest.approx(4.302652729911275/100/3**.5)


def test_two_right_may_be_luck_and_three_are_judged():
    assert judged(3, mot=.01, std_plain=0.) == 'cannot be seen here' != judged(3, mot=.02, std_plain=0.)


def test_runs_of_unlike_starts_or_rounds_are_refused():
    a, b = run(mot=HIGH, base=.2)[0], run(mot=LOW, base=.2, start='other')[0]
    with pytest.raises(MotError, match='different base students'): judge_without(a, b)
    with pytest.raises(MotError, match='not measured alike'): judge_without(a, run(mot=[LOW, LOW], base=.2)[0])


def test_one_seed_without_answers_has_newcombe_s_interval():
    "Each end is taken from the ends that point to it: a far lower end of the first pulls that of the difference."
    rows, _ = run(seeds=(0,), mot=.9, base=.5)
    ends = {'mot': (.5, .95), 'base': (.45, .7)}
    for r in rows: r['value'], (r['lo'], r['hi']) = {'mot': .9, 'base': .5}[r['method']], ends[r['method']]
    g = gap(rows, 'mot', 'base')
    assert (g.lo, g.hi) == pytest.approx((.4 - (.4**2 + .2**2)**.5, .4 + (.05**2 + .05**2)**.5))
    assert 'unpaired' in g.over
