"""Scores, sequential sampling, best-teacher tables, forgetting: what holds between files and in edge cases; the three
templates run at their smallest size."""
import html, json, re

import numpy as np
import pytest

import house
from mot_nb.core.errors import MotError
from mot_nb.core.records import read_recorded, write_recorded
from mot_nb.data.problems import Problem
from mot_nb.answers.score_intervals import coverage_summary
from mot_nb.answers.differences import paired_difference
from mot_nb.answers.score_files import read_results, write_results
from mot_nb.answers.scores import grade, pass_at_k, score, score_marks
from mot_nb.answers.sequential import Rule, kind_of, replay, sequential_difference, sequential_score, wanted
from mot_nb.analysis.best_teacher import (PAPER, best_teachers_at, contrast, differs, fits_grid, may_be_best,
                                          paper_table, seed_spread, simulate_place, teacher_table)

TEMPLATES = house.ROOT/'nbs'/'reports'


def bools(rng, n, k, p):
    return {f'p{i}': tuple(bool(x) for x in row) for i, row in enumerate(rng.random((n, k)) < np.asarray(p).reshape(-1,
                                                                                                                    1))}


def test_a_score_says_the_same_in_text_html_and_markdown():
    rng = np.random.default_rng(0)
    s = score_marks(bools(rng, 50, 4, .6), .02, 'c0ffee'*10, 'a *student* | <b>')
    plain = html.unescape(re.sub(r'<[^>]+>', '', s._repr_html_()))
    mark = html.unescape(re.sub(r'\\(.)', r'\1', s._repr_markdown_()))
    assert str(s) == plain == mark
    for part in (f'{100*s.value:.1f} %', f'[{100*s.lo:.1f}, {100*s.hi:.1f}]',
                 f'[{100*s.lo_samples:.1f}, {100*s.hi_samples:.1f}]', '50 problems x 4', 'truncated 2.0 %',
                 'weights c0ffeec0'):
        assert part in str(s)


def test_simulated_coverage_is_what_the_intervals_promise():
    """95 % intervals cover 93 to 97 % in 2,000 simulated evaluations with known truth: scores over problems and over
    samples, and paired differences."""
    cells = coverage_summary(ks=(1, 16)).data
    assert len(cells) == 3*3*(2 + 3) and sum(.93 <= c['coverage'] <= .97 for c in cells) >= len(cells) - 2, cells
    assert all(.92 <= c['coverage'] <= .98 for c in cells)


def test_results_come_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(1)
    rows = [dict(student='a', teacher=t, seed=s, score=score_marks(bools(rng, 30, 1, .5), .1, 'ab', f'{t}-{s}'))
            for t in (None, 'plain') for s in range(2)] + [dict(student='b', marks=bools(rng, 20, 16, .5))]
    write_results(tmp_path/'r.jsonl', rows, commit='x')
    head, back = read_results(tmp_path/'r.jsonl')
    for r, b in zip(rows, back):
        if 'score' in r:
            assert b['score'] == r['score'] and b['score'].means == r['score'].means and b['teacher'] == r['teacher']
        else: assert b['marks'] == r['marks']
    head, lines = read_recorded(tmp_path/'r.jsonl')
    cut, odd = ({**lines[1], 'marks': lines[1]['marks'][:-1] + end} for end in ('', '2'))
    about = {k: v for k, v in head.items() if k not in ('kind', 'hash')}
    for kind, rows, why in (('scores', [lines[0], cut], 'line 3'), ('scores', [lines[0], odd], 'line 3'),
                            ('speed', lines, 'records something else')):
        write_recorded(tmp_path/'r.jsonl', kind, rows, **about)
        with pytest.raises(MotError, match=why): read_results(tmp_path/'r.jsonl')
    (tmp_path/'r.jsonl').write_text('{}\n')
    with pytest.raises(MotError, match='not a recorded file'): read_results(tmp_path/'r.jsonl')


def test_sequential_sampling_is_unbiased_and_refuses_marks_of_another_rule():
    rng, rule, off, naive = np.random.default_rng(2), Rule(seed=0), [], []
    for run in range(300):
        q = rng.beta(.9, .3, 60)
        full = {f'{run}-{i}': tuple(m) for i, m in enumerate(rng.random((60, 16)) < q[:, None])}
        cut = {p: full[p][:k] for p, k in wanted({p: m[:4] for p, m in full.items()}, rule).items()}
        s, mean = sequential_score(cut, rule), np.mean(list(full.values()))
        assert s.samples == sum(map(len, cut.values())) < 960 and s.lo <= s.value <= s.hi
        off.append(s.value - mean)
        naive.append(np.mean([np.mean(m) if kind_of(m, rule) == 'open' else kind_of(m, rule) == 'right'
                              for m in full.values()]) - mean)
    # an audit takes the bias away that stopping alone has
    assert abs(np.mean(off)) < .003 and np.mean(naive) > .008
    assert wanted({p: m[:4] for p, m in full.items()}, rule) == wanted({p: m[:4] for p, m in reversed(full.items())},
                                                                       rule)
    with pytest.raises(MotError, match='do not fit the rule'): sequential_score(full, rule)
    with pytest.raises(MotError, match='fewer samples'): sequential_score({'a': (1, 1)}, rule)
    with pytest.raises(MotError, match='same problems'): sequential_difference(cut, {**cut, 'x': (1,)*16}, rule)
    with pytest.raises(MotError, match='all samples'): replay({'a': np.ones((5, 16)), 'b': np.ones((6, 16))})


def test_a_replay_of_a_clear_gap_makes_no_error():
    rng = np.random.default_rng(3)
    t = replay({'a': rng.random((60, 16)) < .9, 'b': rng.random((60, 16)) < .2, 'c': rng.random((60, 16)) < .2},
               times=30)
    at = {(d['a'], d['b']): d for d in t.data}
    assert at['a', 'b']['error'] == 0 and at['a', 'b']['full'] == 1 and at['b', 'c']['wrong_side'] == 0
    assert all(d['saved'] > 0 for d in t.data)


def rows_of(tables, student='s', corpus='c', base=None):
    rows = [dict(student=student, corpus=corpus, teacher=t, seed=s, score=score_marks({f'p{i}': [bool(x)] for i,
                                                                                       x in enumerate(m)})) for t,
            of in tables.items() for s, m in enumerate(of)]
    return rows + ([dict(student=student, corpus=corpus, teacher=None, seed=0,
                         score=score_marks({f'p{i}': [bool(x)] for i, x in enumerate(base)}))] if base is not None
                   else [])


def test_contrast_with_one_seed_is_the_paired_difference():
    rng = np.random.default_rng(4)
    a, b = rng.random(90) < .7, rng.random(90) < .5
    c, d = contrast(a, b), paired_difference(*(score_marks({str(i): [x] for i, x in enumerate(v)}) for v in (a, b)))
    np.testing.assert_allclose((c.value, c.lo, c.hi), (d.value, d.lo, d.hi), atol=1e-12)
    one, many = contrast(np.stack([a, a]), np.stack([b, b])), contrast(a, b)
    assert one.value == many.value and seed_spread({'a': np.stack([a, a]), 'b': np.stack([b, b])})[0] < 1e-20


def test_seeds_that_disagree_widen_the_interval():
    """Every problem is solved in two of four seeds: once by other seeds from problem to problem, once by the same two
    seeds on all problems."""
    none, calm, wild = np.zeros((4, 100)), np.zeros((4, 100)), np.zeros((4, 100))
    calm[0::2, 0::2] = calm[1::2, 1::2] = wild[:2] = 1
    assert contrast(wild, none).value == contrast(calm, none).value == .5
    assert contrast(wild, none).hi - contrast(wild, none).lo > 2*(contrast(calm, none).hi - contrast(calm, none).lo)


def test_bold_only_where_the_interval_allows_and_unknown_where_nothing_was_run():
    rng = np.random.default_rng(6)
    clear, equal = simulate_place(rng, (.8, .4, .3), 4, 150), simulate_place(rng, (.5, .5), 4, 150)
    table = teacher_table(rows_of(clear, corpus='clear', base=rng.random(150) < .3) + rows_of(equal, corpus='equal'))
    at = {(d['corpus'], d['teacher']): d for d in table.data}
    assert at['clear', 't0']['best'] and not at['clear', 't0']['tied'] and at['equal', 't0']['tied']
    assert at['equal', 't1']['tied']
    assert table.rows[0][3][1] and [c for c in table.rows[1] if isinstance(c, tuple) and c[1]] == []
    assert table.rows[1][5] == 'unknown'
    assert table.rows[0][-1] == 't0' and table.rows[1][-1].startswith('tie: ')
    for shown in (str(table), table._repr_html_(), table._repr_markdown_()):
        assert 'unknown' in shown and 'tie: ' in shown
    assert '<b>' in table._repr_html_().split('<tr>')[2] and '<b>' not in table._repr_html_().split('<tr>')[3]
    assert [o['verdict'] for o in differs(best_teachers_at(rows_of(clear, corpus='x')
                                                           + rows_of({f't{2 - i}': v for i,
                                                                      v in enumerate(clear.values())}, corpus='y')),
                                          'corpus').data] == ['yes']


def test_equal_teachers_are_seldom_told_apart():
    rng, wrong = np.random.default_rng(7), 0
    for _ in range(200):
        _, apart, ties = may_be_best(simulate_place(rng, (.5,)*4, 3, 60))
        wrong += len(ties) < 3
    assert wrong <= 16                                                          # 5 % of 200, with room for chance


def test_what_is_known_of_the_paper_fits_its_grid_and_the_rest_is_unknown():
    assert all(fits_grid(v.value) for v in PAPER) and not fits_grid(71.47) and fits_grid(79.38, 30)
    cells = [c for r in paper_table().rows for c in r[2:]]
    known = [c for c in cells if c != 'unknown']
    assert len(cells) == 36 and sorted(set(known)) == sorted(['71.46 (C)', '-7.50 (B)', '-3.65 (B)', '78.13 (B)'])


# ---- forgetting

@pytest.fixture
def items(tmp_path):
    "Rows of our own in the two schemas of the suite."
    listed = 'Which is right?\n\nA. one\nB. two\nC. three\nD. four\nAnswer:'
    for task in ('mmlu', 'logiqa'):
        rows = [{'question': f'{j}? {listed}', 'answer': 'ABCD'[j % 4]} if task == 'mmlu'
                else {'input': [{'role': 'user',
                                 'content': f'\nPassage: It rains on day {j}, and on the next.Question: {listed}'}],
                      'ideal': 'ABCD'[j % 4]} for j in range(8)]
        (tmp_path/f'{task}.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
    return {t: tmp_path/f'{t}.jsonl' for t in ('mmlu', 'logiqa')}


def test_a_measurement_goes_on_and_is_paired_with_the_base(items, tmp_path):
    from mot_nb.analysis.suite import TASKS, make_suite
    from mot_nb.analysis.forgetting import forgetting_table, measure_students, read_forgetting
    suite = make_suite(4, 3, 2, 4, files=items)
    students = {'base': ('qwen3-tiny', {}), 'again': ('qwen3-tiny', {'method': 'mot'})}
    measure_students(students, suite, tmp_path/'f.jsonl', None, commit='x')
    head, rows = read_recorded(tmp_path/'f.jsonl', 'forgetting')
    assert len(rows) == 2*len(TASKS)
    about = {k: v for k, v in head.items() if k not in ('kind', 'hash')}
    write_recorded(tmp_path/'f.jsonl', 'forgetting', rows[:4], **about)    # as a kill leaves it
    measure_students(students, suite, tmp_path/'f.jsonl', None)
    again, resumed = read_recorded(tmp_path/'f.jsonl')
    strip = lambda rows: [{k: v for k, v in r.items() if k != 'seconds'} for r in rows]
    # hash and seal cover the seconds too
    assert {**again, 'hash': '', 'seal': ''} == {**head, 'hash': '', 'seal': ''} and strip(resumed) == strip(rows)
    table = forgetting_table(read_forgetting(tmp_path/'f.jsonl')[1])
    assert all(d['change'] == 0 and d['verdict'] == 'no significant difference' and d['paired'] for d in table.data)
    assert len(table.data) == len(TASKS)
    with pytest.raises(MotError, match='other items'):
        measure_students(students, make_suite(4, 3, 2, 4, seed=1, files=items), tmp_path/'f.jsonl', None)


def test_items_of_the_package_are_the_expected_ones(tmp_path, monkeypatch):
    "Where the package's items are in the cache they are read; a file that was changed is refused."
    from mot_nb.analysis import suite
    from mot_nb.student import packaged
    real = suite.cache_folder()
    for task, n in (('mmlu', 1000), ('logiqa', 1354)):
        s = suite.EVALS[task]
        there = real/f"evals-{s['version']}-{task}-{s['sha256'][:12]}"/'items.jsonl'
        if there.exists(): assert len(suite.read_choices(task, there)) == n
    wrong = tmp_path/'wrong.jsonl'
    wrong.write_text('{}\n')
    monkeypatch.setenv('MOT_CACHE', str(tmp_path/'cache'))
    monkeypatch.setattr(packaged, '_file_of_package', lambda *a: wrong)
    with pytest.raises(MotError, match='not the one expected'): suite.items_file('mmlu')


def test_results_of_lm_eval_stand_in_the_same_table(tmp_path):
    from mot_nb.analysis.forgetting import change, forgetting_table
    from mot_nb.analysis.lm_eval import read_lm_eval
    def write(where, right, samples):
        where.mkdir()
        m = float(np.mean(right))
        found = {'alias': 'x', 'acc,none': m, 'acc_stderr,none': .04, 'acc_norm,none': m, 'acc_norm_stderr,none': .04}
        counts = {'original': 9, 'effective': len(right)}
        results = {'results': {'arc_challenge': found}, 'n-samples': {'arc_challenge': counts}}
        (where/'results_2026.json').write_text(json.dumps(results))
        if samples:
            rows = [{'doc_id': i, 'doc_hash': f'h{i}', 'filter': 'none', 'acc_norm': float(r)}
                    for i, r in enumerate(right)]
            text = ''.join(json.dumps(r) + '\n' for r in rows)
            (where/'samples_arc_challenge_2026.jsonl').write_text(text)
        return read_lm_eval(where)
    a = write(tmp_path/'a', [1, 0]*20, True)
    b = write(tmp_path/'b', [1, 1, 0, 0]*10, True)
    c = write(tmp_path/'c', [1, 0]*20, False)
    assert a[0]['metric'] == 'acc_norm' and a[0]['n'] == 40 and change(b[0], a[0]).paired
    assert not change({**c[0], 'ids': ''}, {**c[0]}).paired
    assert 'lm-eval' in str(forgetting_table({'base': a, 'student': b}))
    with pytest.raises(MotError, match='different items'): change(c[0], a[0])


# ---- templates

def said(path):
    return '\n'.join(''.join(o.get('data', {}).get('text/markdown', ''))
                     + ''.join(o.get('data', {}).get('text/plain', '')) for c in json.loads(path.read_text())['cells']
                     for o in c.get('outputs', []))


@pytest.mark.long
def test_best_teacher_template_runs_and_draws_from_its_file(tmp_path):
    from mot_nb.app.pages import execute_page
    record = tmp_path/'r.jsonl'
    execute_page(TEMPLATES/'80_best_teacher.ipynb', tmp_path/'80.ipynb',
                 {'record': str(record), 'teachers': ['plain', 'foreign'], 'corpora': ['short'], 'seeds': [0],
                  'steps': 2, 'n_heldout': 16, 'command': 'a test'})
    head, rows = read_results(record)
    assert head['command'] == 'a test' and len(rows) == 3 and {r['teacher'] for r in rows} == {None, 'plain', 'foreign'}
    execute_page(TEMPLATES/'80_best_teacher.ipynb', tmp_path/'again.ipynb', {'results': [str(record)]})
    assert str(teacher_table(rows)).splitlines()[2] in said(tmp_path/'80.ipynb')
    assert str(teacher_table(rows)).splitlines()[2] in said(tmp_path/'again.ipynb')


def test_main_table_and_comparison_draw_from_files(tmp_path):
    from mot_nb.app.pages import execute_page
    recorded = house.ROOT/'data'/'recorded'
    execute_page(TEMPLATES/'81_mot_main.ipynb', tmp_path/'81.ipynb', {'results': [str(recorded/'runs'/'toy.jsonl')],
                                                                      'names': ['toy']})
    assert 'MoT minus it, points' in said(tmp_path/'81.ipynb') and 'claim' in said(tmp_path/'81.ipynb')
    execute_page(TEMPLATES/'84_compare_runs.ipynb', tmp_path/'84.ipynb',
                 {'a': str(recorded/'runs'/'toy.jsonl'), 'b': str(recorded/'runs'/'toy.jsonl')})
    assert 'equal to the last bit' in said(tmp_path/'84.ipynb') and '+0.0 [' in said(tmp_path/'84.ipynb')


LABELS = ['from $5 to $6', r'\(x\) \[y\] \begin{equation}', '![x](http://h/i.png) [y](javascript:alert(1))',
          '\x1b[31mred', 'a\u202eb', '<img src=x>|*', '`~~~`']


@pytest.mark.parametrize('label', LABELS)
def test_what_is_shown_of_a_score_is_only_text(label):
    "Formulas, pictures, links, markup, escape codes and direction marks in a name stay letters, in every form."
    s = score_marks({'a': [True, False], 'b': [False, True]}, label=label)
    marks = {f'p{i}': (i % 2 > 0,)*16 for i in range(20)}
    audited = Rule(audit=1.)
    for record in (s, paired_difference(s, s), sequential_score(marks, audited, label),
                   sequential_difference(marks, marks, audited, label, label)):
        in_html, markdown = record._repr_html_(), record._repr_markdown_()
        for text in (str(record), repr(record), in_html, markdown): assert '\x1b' not in text and '\u202e' not in text
        assert '<img' not in in_html + markdown and '](' not in markdown
        assert not re.search(r'(?<!&)\$(?!<)|\\[(\[]', re.sub('<span>.</span>', '', in_html)) and '$5' not in markdown


def result_file(path, lines, **head):
    from mot_nb.core.records import write_recorded
    return write_recorded(path, 'scores', lines, **head)


GOOD = dict(k=1, problems='a', marks='101', truncated=0., hash='h', label='s')


SETS = (None, [1], {'a': 3}, {'a': ['x', 'x', 'z']}, {'a': [['x'], ['y'], ['z']]}, {'a': ['x', 'y']}, {'a': []})
CHANGES = (dict(k='1'), dict(k=0), dict(k=None), dict(problems=['a']), dict(marks=[1, 0, 1]), dict(marks='102'),
           dict(truncated='x'), dict(hash=5), dict(label=['s']))


@pytest.mark.parametrize('sets, change', [*((s, {}) for s in SETS), *(({'a': ['x', 'y', 'z']}, c) for c in CHANGES)])
def test_result_files_that_hold_something_else(sets, change, tmp_path):
    result_file(tmp_path/'r.jsonl', [GOOD | change], **({} if sets is None else dict(problems=sets)))
    with pytest.raises(MotError): read_results(tmp_path/'r.jsonl')


def test_a_line_that_is_no_object_is_refused_and_a_good_one_read(tmp_path):
    result_file(tmp_path/'r.jsonl', [[1, 2]], problems={'a': ['x']})
    with pytest.raises(MotError, match='line 2'): read_results(tmp_path/'r.jsonl')
    result_file(tmp_path/'r.jsonl', [GOOD], problems={'a': ['x', 'y', 'z']})
    assert read_results(tmp_path/'r.jsonl')[1][0]['score'].value == 2/3


def test_nothing_to_compare_and_one_problem():
    "Empty sets are refused; one problem shows nothing, and its interval says so."
    from mot_nb.answers.differences import smallest_detectable
    from mot_nb.answers.over_seeds import last_and_best, rows_over_seeds
    from mot_nb.answers.scores import pass_at_k
    from mot_nb.answers.sequential import settled_early
    one = {'a': (True,)*16}
    d = sequential_difference(one, {'a': (False,)*16}, Rule())
    assert (d.lo, d.hi, d.decision) == (-1, 1, 'no significant difference')
    assert paired_difference(score_marks(one), score_marks(one)).lo == -1
    two, unmeasured = {x: np.ones((5, 16)) for x in 'ab'}, dict(method='mot', metric='accuracy', value=.5, round=None)
    empty = (lambda: sequential_difference({}, {}, Rule()), lambda: sequential_score({}, Rule()),
             lambda: settled_early({}, {}, Rule()), lambda: replay({}), lambda: replay({'a': np.ones((5, 16))}),
             lambda: replay({'a': np.ones(16), 'b': np.ones(16)}), lambda: replay(two, times=0),
             lambda: pass_at_k([3]), lambda: pass_at_k([3], m=2), lambda: pass_at_k([], m=2),
             lambda: smallest_detectable(5, k=0), lambda: Rule(first='a'), lambda: Rule(last=16.5),
             lambda: rows_over_seeds([dict(method='mot')]), lambda: last_and_best([unmeasured]))
    for f in empty:
        with pytest.raises(MotError): f()


def test_one_text_is_marked_for_every_answer():
    "What was graded for one problem is not looked up for another."
    problems = [Problem(i, 'q', a, 's') for i, a in (('a', '12'), ('b', '13'), ('c', '12'))]
    assert grade(problems, {p.id: ['Answer: 12'] for p in problems}) == {'a': (True,), 'b': (False,), 'c': (True,)}


def test_scores_of_several_samples():
    "avg@k, the share of truncated answers, and pass@k, each counted by hand."
    problems = [Problem(i, 'q', '12', 's') for i in 'ab']
    texts = {'a': ['Answer: 12', 'Answer: 12', 'Answer: 1', 'Answer: 1'], 'b': ['Answer: 1']*4}
    samples = {p: [dict(text=t, truncated=i == 3) for i, t in enumerate(ts)] for p, ts in texts.items()}
    s = score(problems, samples)
    assert (s.value, s.k, s.truncated, s.means) == (.25, 4, .25, {'a': .5, 'b': 0.})
    assert [pass_at_k(s, k=k) for k in (1, 2, 4)] == pytest.approx([.25, (1 - 1/6)/2, .5])


def test_a_ratio_s_interval_weighs_a_trace_by_its_length():
    "Cochran's linearisation: a long trace that is off counts for more than a short one, against the bootstrap."
    from mot_nb.core.intervals import ratio_interval
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 60, 200)
    sums = counts*(2 + .02*counts*rng.normal(size=200))
    value, lo, hi = ratio_interval(sums, counts)
    picks = rng.integers(0, 200, (4000, 200))
    means = sums[picks].sum(1)/counts[picks].sum(1)
    assert value == pytest.approx(sums.sum()/counts.sum()) and (hi - lo)/2 == pytest.approx(1.97*means.std(), rel=.06)
