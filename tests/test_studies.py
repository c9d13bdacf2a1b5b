"The studies of skills, voices and subsets of teachers: what they ask, how they judge, and that a recording goes on."
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mot_nb.analysis import subset_reading as rules
from mot_nb.analysis.skill_reading import reading_verdict, skill_verdict, student_rows, voice_gap
from mot_nb.analysis.skill_study import SKILLS, skill_pool, skill_problems, step_labels
from mot_nb.analysis.teacher_subsets import mixed_pool
from mot_nb.analysis.voices import entropy_bits, fit_voices, highest_share, style_words, voice_accuracy
from mot_nb.core.errors import MotError
from mot_nb.data.toy import chain_of, split_of

sys.path.insert(0, str(Path(__file__).parent/'tools'))
from units import cpu_minutes, made_units, rows_of  # noqa: E402


# -- recording unit by unit --------------------------------------------------------------------------------------------

def test_a_recording_goes_on_where_it_stopped(tmp_path):
    "What was done before a stop is read and not made again; rows stand in the order of the units."
    made = []
    def make(study, seed):
        if seed == 2 and 2 not in [m[1] for m in made] and len(made) == 2 and not stop: raise KeyboardInterrupt
        made.append((study, seed))
        return [{'study': study, 'seed': seed}]
    stop, units = [], [('a', 1), ('b', 1), ('a', 2)]
    with pytest.raises(KeyboardInterrupt): made_units(make, units, tmp_path)
    stop.append(True)
    found = made_units(make, units[::-1], tmp_path)
    assert made == units
    assert rows_of(found) == [{'study': s, 'seed': i} for s, i in units[::-1]] and cpu_minutes(found) >= 0


# -- skills ------------------------------------------------------------------------------------------------------------

def test_no_trace_shows_what_is_asked():
    "Nor the operation of knowledge; reasoning is longer than any trace; no asked question was read by the base."
    pool = skill_pool(3, 60)
    shown = {t.prompt for c in pool.corpora.values() for t in c.traces}
    longest = max(len(chain_of(q).steps) for q in shown)
    assert not any('times' in q for q in shown)
    for skill in SKILLS:
        asked = [p.question for p in skill_problems(skill, 80, 3)]
        assert len(set(asked)) == 80 and not shown & set(asked)
        assert all(split_of(q) != 'pretrain' for q in asked)
    assert all('plus' not in p.question and 'minus' not in p.question for p in skill_problems('knowledge', 80, 3))
    assert min(len(chain_of(p.question).steps) for p in skill_problems('reasoning', 80, 3)) > longest


def test_the_results_of_steps_are_found():
    for corpus in skill_pool(1, 15).corpora.values():
        for t in corpus.traces:
            words, labels = t.completion.split(), step_labels(t)
            assert [int(w) for w, l in zip(words, labels) if l == 'result'] == chain_of(t.prompt).values[1:]


def skill_row(seed, student, know=.5, voices=(50, 50), gap=.1, change=.2):
    "A made-up row."
    kinds = {k: [50, change, .1] for k in ('quirk', 'shared', 'result', 'copied')}
    jitter = (seed - 1)/200
    return dict(seed=seed, student=student, lr=1e-3, chosen=.5, n=100, guesser=1., voices=list(voices),
                drawn=list(voices), kinds=kinds, right=dict(trained=.5, knowledge=know + jitter, reasoning=.2),
                gaps={k: [gap + jitter, gap + 2*jitter] for k in ('shared', 'result')})


OTHERS = ('std-a-r5', 'std-b-r5', 'mtd-depth-r5', 'mtd-compute-r5', 'oneshot')


def skill_record(mot, **others):
    "Three seeds; `others`: label -> what differs from the made-up row."
    rows = [skill_row(s, o, **others.get(o.replace('-', '_'), {})) for s in range(3) for o in (*OTHERS, 'base')]
    return rows + [skill_row(s, 'mot-r5', **{**mot, 'know': mot.get('know', .5) + (s - 1)/100}) for s in range(3)]


def test_above_every_other_student_or_not_supported():
    "One that is as good leaves the claim open; one that is better contradicts it, and is named."
    assert skill_verdict(skill_record({'know': .8}), 'knowledge')[0] == 'supported'
    near = skill_record({'know': .8}, oneshot={'know': .79})
    assert skill_verdict(near, 'knowledge')[0] != 'supported' and skill_verdict(near, 'knowledge')[1] == 'oneshot'
    beaten = skill_record({'know': .8}, oneshot={'know': .99})
    assert skill_verdict(beaten, 'knowledge')[:2] == ('contradicted', 'oneshot')


@pytest.mark.parametrize('gap, change, unlearned, suppressed',
                         [(.1, .2, 'supported', 'contradicted'), (-.1, -.2, 'contradicted', 'supported'),
                          (.1, -.2, 'contradicted', 'contradicted'), (0., .2, 'undecided', 'contradicted')])
def test_both_readings_of_a_drop(gap, change, unlearned, suppressed):
    "Each has three parts: one on the wrong side contradicts it."
    rows = skill_record({'gap': gap, 'change': change})
    assert reading_verdict(rows, 'style unlearned') == unlearned
    assert reading_verdict(rows, 'reasoning suppressed') == suppressed
    assert reading_verdict([r for r in rows if r['seed'] < 2], 'style unlearned') == 'fewer than 3 seeds'


# -- voices ------------------------------------------------------------------------------------------------------------

def test_a_voice_is_style_and_not_content():
    "Numbers and the final answer are not read: other numbers, the same voice."
    assert style_words('3 plus 4 gives 7 ; Answer: 7') == style_words('8 plus 1 gives 9 ; Answer: 9')
    assert style_words('3 4 7 Answer: 7') == [] == style_words('Answer: 7')
    guesser = fit_voices({'a': ['1 plus 2 gives 3 ;'], 'b': ['1 + 2 = 3 |']})
    assert guesser.guess('5 + 5 = 0 | Answer: 0') == 'b' and guesser.guess('Answer: 0') == ''
    assert guesser.counts(['Answer: 1', '2 plus', '2 plus', '3 =']) == [2, 1]
    assert voice_accuracy(guesser, {'a': ['2 plus', '2 =']}) == .5
    with pytest.raises(MotError, match='no words'): fit_voices({'a': ['7'], 'b': ['1 +']})


def test_evenly_spread():
    assert highest_share([5, 5, 5, 5]) == .25 and entropy_bits([5, 5, 5, 5]) == 2 and entropy_bits([9, 0]) == 0
    assert highest_share([0, 0]) == 0


def test_nearer_to_equal_shares():
    "Below the other's highest share is nearer; the verdict says so only where the interval does."
    rows = skill_record({'voices': (55, 45)}, mtd_compute_r5={'voices': (90, 10)}, mtd_depth_r5={'voices': (55, 45)})
    assert voice_gap(rows)[1] == 'supported' and voice_gap(rows, 'mtd-depth-r5')[1] == 'equal within the margin'
    with pytest.raises(MotError, match='unknown student'): student_rows(rows, 'mot-r4')


# -- subsets of teachers -----------------------------------------------------------------------------------------------

def subset_record(score, names='abcd', seeds=3): # subset, seed -> [reported, choosing]
    "Made-up rows of all subsets; d errs."
    parts = dict(zip(names, ('right', 'right too', 'shifted', 'errs')))
    return [dict(seed=i, kind='subset', n=100, teachers=list(s), roles=[parts[t] for t in s],
                 errors=[.3*(t == 'd') for t in s], scores=score(s, i), known=None)
            for i in range(seeds) for k in (1, 2, 3, 4) for s in combinations(names, k)]


def test_rules_choose_where_they_may_and_report_elsewhere():
    "A subset that is best only on the reported problems is not found, by any rule."
    def score(s, seed):
        value = .3 + .1*len(s) - .3*('d' in s)
        return [value + (.5 if s == ('c', 'd') else 0), value]
    one, *_ = seeds = rules.by_seed(subset_record(score))
    for rule in (rules.best_of_all, rules.leave_one_out, rules.greedy_up, rules.greedy_down, rules.by_error_rate):
        assert rule(one) == frozenset('abc'), rule.__name__
    assert len(rules.best_alone(one)) == 1 and 'd' not in rules.best_alone(one)
    np.testing.assert_allclose(rules.gains(seeds, rules.best_of_all), .6 - .4)


def test_the_share_of_the_gain():
    best = np.array([.1, .2, .3])
    assert rules.share_reached(best, best)[0] == pytest.approx(1) and rules.share_reached(0*best, best)[0] == 0
    value, lo, hi = rules.share_reached(np.array([.1, 0., .2]), best)
    assert value == pytest.approx(.5) and lo < value < hi
    assert rules.share_reached(best, -best) is None


def test_where_nobody_harms_everyone_stays():
    one = rules.by_seed(subset_record(lambda s, i: [.1*len(s)]*2))[0]
    for rule in (rules.best_of_all, rules.leave_one_out, rules.greedy_up, rules.greedy_down):
        assert rule(one) == frozenset('abcd')


def test_parts_are_drawn_anew():
    "The same style is right in one seed and errs in another."
    parts = [mixed_pool(s, 10)[1] for s in range(8)]
    assert all(sorted(p.values()) == sorted(parts[0].values()) and p['foreign'] == 'shifted' for p in parts)
    assert len({p.get('plain') for p in parts} - {None}) > 1
