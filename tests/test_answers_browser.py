"The answers browser: hostile answers do nothing, two clicks lead to both answers, every filter shows what it says."
import random, re

import pytest

from browser import Tab, browser, until
from mot_nb.answers.answer_sets import MARKS, AnswerSet, Marked, has_right
from mot_nb.app.document import external_references
from mot_nb.data.problems import Problem
from mot_nb.views.answers_browser import LARGEST, answers_page, answers_view, write_answers_page
from test_escape import STRINGS, Pieces, formulas, mixtures

UNSEEN = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
TAGS = {'html', 'head', 'meta', 'title', 'style', 'body', 'input', 'main', 'h1', 'div', 'table', 'tr', 'td', 'th',
        'label', 'details', 'summary', 'span', 'b', 'i', 'small'}


def hostile_set(strings):
    "Each string as a question, id, answer and source, and as the answer of students that carry it in their name too."
    problems = tuple(Problem(f'{i}{s}', s, s, s) for i, s in enumerate(strings))
    of = {n: {p.id: (Marked(f'{s} {n}' if n else s, MARKS[i % 3], ((s, -.5),)),) for i, (p, s) in
              enumerate(zip(problems, strings))} for n in ('mot-r1', 'std-<script>hit()</script>-r1', strings[1])}
    return AnswerSet(problems, of, strings[0])


def test_hostile_answers_are_only_text():
    answers = hostile_set(STRINGS + mixtures(60))
    page, view = answers_page(answers), answers_view(answers, 'mot-r1', most=10**6).source
    assert set(Pieces(page).tags) <= TAGS and not external_references(page) and ' style=' not in page
    assert set(Pieces(view).tags) <= {'div', 'span', 'b', 'details', 'summary'}
    for source in (page, view):
        body = source.partition('<body>')[2] or source
        assert not formulas(body) and not UNSEEN.search(body) and not re.search(r'<[^>]+\son\w+=', body)


def random_set(problems, students, k, words, seed=0):
    rng = random.Random(seed)
    some = 'the sum of these then plus minus gives so we have add take left 1 2 3 4 5 6 7 8 9'.split()
    said = lambda: ' '.join(rng.choices(some, k=words)) + f' Answer: {rng.randint(5, 8)}'
    asked = tuple(Problem(f'p{i}', said(), '7', 's') for i in range(problems))
    names = ['base', *(f'std-t{i}-r5' for i in range(students - 2)), 'mot-r5']
    return AnswerSet(asked, {n: {p.id: tuple(Marked(said(), rng.choice(MARKS)) for _ in range(k)) for p in asked}
                             for n in names}, 'made')


def test_it_fits_into_five_megabytes():
    "A 20th of 1,000 problems x 10 students x 16 answers of 900 characters, in a 20th of the size: cut to fit."
    page = answers_page(random_set(50, 10, 16, 250), largest=LARGEST//20)
    assert len(page.encode()) <= LARGEST//20 and 'characters left out' in page
    assert page.count('<details class="q') == 50 and page.count(' h"><b>') == 500


def test_texts_stand_once():
    problems = (Problem('p', 'q', '4', 's'),)
    said = AnswerSet(problems, {f's{i}': {'p': (Marked('the very same words', 'right'),)} for i in range(6)}, '')
    assert answers_page(said).count('the very same words') == 1


@pytest.mark.skipif(browser() is None, reason='no Chromium on this machine')
def test_two_clicks_and_every_filter(tmp_path):
    "In a browser, no script allowed: a difference, then a problem; what each filter shows; one mark in each answer."
    answers = random_set(40, 4, 1, 6)
    page = write_answers_page(answers, tmp_path/'answers.html')
    a, b = 'mot-r5', 'std-t1-r5'
    right = {n: {p.id for p in answers.problems if has_right(answers.of[n][p.id])} for n in answers.of}
    cut = {n: {p.id for p in answers.problems if answers.of[n][p.id][0].mark == 'truncated'} for n in answers.of}
    x, y, everything = right[a], right[b], {p.id for p in answers.problems}
    expected = [x ^ y, x - y, y - x, x & y, everything - x - y, cut[a] | cut[b], everything]
    with Tab(tmp_path) as tab:
        tab.call('Page.navigate', url=page.as_uri())
        until(lambda: tab.js('document.readyState') == 'complete', 60, 'the page')
        tab.js("[...document.querySelectorAll('td label')].find(l => l.textContent == 'MoT − STD t1').click()")
        shown = """[...document.querySelectorAll('.q')].filter(q => q.checkVisibility())
            .map(q => q.querySelector(':scope > .soft').textContent.split('problem ')[1])"""
        for k, ids in enumerate(expected):
            tab.js(f"document.querySelector('.choose .f{k}').click()")
            assert set(tab.js(shown)) == ids, k
        tab.js("document.querySelector('.choose .f1').click()")
        tab.js("[...document.querySelectorAll('.q')].find(q => q.checkVisibility()).querySelector('summary').click()")
        seen = "[...document.querySelectorAll('.q[open] .n > *')].filter(e => e.checkVisibility())"
        assert [t.split()[-1] for t in tab.js(f'{seen}.map(e => e.textContent)')][-4:] and tab.js(f'{seen}.length') == 4
        marked = f"{seen}.map(e => [...e.querySelectorAll('[class^=d]')].filter(d => " \
                 "getComputedStyle(d).fontWeight == '700').length)"
        assert sorted(tab.js(marked)) == [0, 0, 1, 1]
        assert tab.js("document.scripts.length") == 0


def test_the_command_reads_logs_and_overwrites_nothing_else(tmp_path, capsys):
    "`mot answers`: two logs of lm-eval to a page, again over that page, never over another file."
    from mot_nb.answers.answer_logs import write_lm_eval_samples
    from mot_nb.app.cli import main
    logs = [str(p) for p in write_lm_eval_samples(random_set(5, 2, 1, 3), tmp_path/'logs')]
    page, notes = tmp_path/'a.html', tmp_path/'notes.txt'
    notes.write_text('mine')
    for _ in range(2): assert main(['answers', *logs, '--a', 'mot', '--b', 'base', '--out', str(page)]) == 0
    assert 'MoT − base' in capsys.readouterr().out and '<title>Answers</title>' in page.read_text(encoding='utf-8')
    assert main(['answers', *logs, '--out', str(notes)]) == 1 and notes.read_text() == 'mine'
    assert main(['answers', *logs, '--a', 'mott', '--out', str(page)]) == 1
    assert 'did you mean' in capsys.readouterr().err
    assert main(['answers', str(tmp_path/'none.jsonl')]) == 1
