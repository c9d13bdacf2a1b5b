"Claims: on made-up runs with known truth, every claim's verdict follows the sign of its difference."
import pytest

from mot_nb.analysis.best_teacher import teacher_table
from mot_nb.analysis.claims import Gap, VERDICTS, best_std, gap, judge, judge_best, judge_without, ledger, verdict
from mot_nb.analysis.forgetting import against, change
from mot_nb.answers.scores import score_marks

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
                rows.append(dict(seed=s, method=method, teacher=None, budget=None, round=t, metric=metric, n=N, k=1, lo=None,
                                 hi=None, value=score.value if metric == 'accuracy' else value, student=student, hash=start) | of)
    return rows, scores


def judged(number, **ends):
    "The verdict on one run."
    rows, scores = run(**ends)
    return judge(rows, number, scores=scores).verdict


HIGH, LOW = .7, .3
# claim, students of a run in which the paper is right, the same with the sign flipped
ONE_RUN = {
    '3': (3, dict(mot=HIGH, std_plain=LOW), dict(mot=LOW, std_plain=HIGH)),
    '4, depth and compute': (4, dict(mot=HIGH, mtd_depth=LOW, mtd_compute=LOW), dict(mot=LOW, mtd_depth=HIGH, mtd_compute=HIGH)),
    '4, compute alone flipped': (4, dict(mot=.5, mtd_depth=LOW, mtd_compute=LOW), dict(mot=.5, mtd_depth=LOW, mtd_compute=HIGH)),
    '4, depth alone flipped': (4, dict(mot=.5, mtd_depth=LOW, mtd_compute=LOW), dict(mot=.5, mtd_depth=HIGH, mtd_compute=LOW)),
    '6, ceiling': (6, dict(mot=[.6, .6], std_plain=[.4, .2]), dict(mot=[.4, .4], std_plain=[.6, .4])),
    '6, fall': (6, dict(mot=[.7, .6], std_plain=[.5, .2]), dict(mot=[.7, .4], std_plain=[.5, .5])),
    '7': (7, dict(base=HIGH, std_foreign=LOW), dict(base=LOW, std_foreign=HIGH)),
    '16': (16, dict(mot=HIGH, oneshot=LOW), dict(mot=LOW, oneshot=HIGH))}


@pytest.mark.parametrize('case', ONE_RUN)
def test_a_claim_on_one_run_follows_its_sign(case):
    number, right, flipped = ONE_RUN[case]
    assert (judged(number, **right), judged(number, **flipped)) == ('supported', 'contradicted')


@pytest.mark.parametrize('number, ends', [(3, dict(mot=.5, std_plain=.5)), (4, dict(mot=.5, mtd_depth=.5, mtd_compute=LOW)),
                                          (6, dict(mot=[.5, .5], std_plain=[.5, .5])), (7, dict(base=.5, std_foreign=.5)),
                                          (16, dict(mot=.5, oneshot=.5))])
def test_equal_students_are_undecided(number, ends): assert judged(number, **ends) == 'undecided'


def test_claim_8_follows_its_sign():
    "MoT with the shifted teacher minus MoT without it: above zero supports the claim that it is better with."
    def said(full, without):
        (a, of_a), (b, of_b) = run(mot=full, base=.2), run(mot=without, base=.2)
        return judge_without(a, b, scores=of_a, scores_without=of_b)
    better, worse = said(HIGH, LOW), said(LOW, HIGH)
    assert (better.verdict, worse.verdict, said(.5, .5).verdict) == ('supported', 'contradicted', 'undecided')
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
    row = lambda task, metric, items: dict(task=task, metric=metric, n=len(items), items=items, ids='same', by='offline suite',
                                           value=sum(x if metric == 'accuracy' else x[0]/x[1] for x in items)/len(items))
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
    assert gap(rows, 'mot', 'std:plain', 'loss', 'drop').value == pytest.approx(.5)     # 0.5 worse than its best, against 0


@pytest.mark.parametrize('lo, hi, above, below', [(.1, .2, 'supported', 'contradicted'), (-.2, -.1, 'contradicted', 'supported'),
                                                  (-.1, .1, 'undecided', 'undecided'), (0., .1, 'undecided', 'undecided'),
                                                  (None, None, 'undecided', 'undecided')])
def test_a_verdict_is_where_the_interval_lies(lo, hi, above, below):
    g = Gap('a', 'b', 'accuracy', 'last', 0., lo, hi, 'seeds and problems', 3, N)
    assert (verdict(g), verdict(g, 'below')) == (above, below)


def test_one_seed_and_uncounted_problems_decide_nothing():
    for number, *both in ONE_RUN.values():
        for ends in both:
            rows, scores = run(seeds=(0,), **ends)
            assert judge(rows, number, scores=scores).verdict == 'one seed'
            assert judge(run(**ends)[0], number).verdict == 'problems not counted'


def test_a_ledger_says_what_its_verdicts_mean():
    rows, scores = run(mot=HIGH, std_plain=LOW, oneshot=.7)
    table = ledger([judge(rows, n, 'made up', scores) for n in (3, 16)])
    assert [r[-1] for r in table.rows] == [('supported', True), ('undecided', False)]
    assert all(f'{name}: {meaning}' in table.caption for name, meaning in VERDICTS.items())
