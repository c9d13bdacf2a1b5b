"The students' own words: what hostile answers do in each form (nothing), what is folded, chosen and said."
import re

import pytest

from mot_nb.answers.answer_sets import AnswerSet, Marked, first_parting, has_right, most_different, sorted_pair
from mot_nb.data.problems import Problem
from mot_nb.views.own_words import FOLDED, LONGEST_SHOWN, own_words, said_html, words_html
from test_escape import STRINGS, Pieces, formulas, mixtures, rendered

INERT = {'div', 'span', 'b', 'small', 'details', 'summary'}
UNSEEN = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def answered(texts, problem=Problem('p', 'q', '4', 's')):
    "A set of one problem: label -> (text, mark)."
    return AnswerSet((problem,), {n: {problem.id: (Marked(*x),)} for n, x in texts.items()}, problem.question)


def test_hostile_words_are_only_text_in_every_form():
    "In the question, id, answer, source, a student's name, its answer and a teacher's solution."
    for s in STRINGS + mixtures(60):
        said = answered({'base': (s, 'wrong'), s or 'x': (s, 'right'), 'mot-r1': (s + ' ', 'truncated')},
                        Problem(s or 'p', s, s, s))
        shown = own_words(said, solutions={'plain': s})
        assert set(Pieces(shown.source).tags) <= INERT and not formulas(shown.source), s
        assert not UNSEEN.search(shown.source) and not UNSEEN.search(shown.text), s
        assert set(re.findall(r'<\w+ (\w+)=', shown.source)) <= {'style'}, s
    for s in STRINGS:
        markdown = own_words(answered({'base': (s, 'wrong')}, Problem('p', s, s, s)))._repr_markdown_()
        html = rendered(markdown)
        assert set(Pieces(html).tags) <= {'p', 'span', 'table', 'thead', 'tbody', 'tr', 'th', 'td'}, s
        assert not formulas(html), s


def test_hidden_space_is_drawn():
    drawn = ''.join(Pieces(words_html(' a  b\tc\u00a0d \ne')).texts)
    assert drawn == '·a··b⇥c⍽d·↵\ne' and 'nothing was written' in words_html('')


def test_long_answers_are_folded_and_their_end_is_seen():
    assert '<details' not in said_html('x'*FOLDED)
    long = said_html('word '*400 + 'Answer: 7')
    assert long.startswith('<details><summary') and 'Answer: 7 <small>(2,009 characters)' in long
    assert len(said_html('<'*2_000_000)) < 6*LONGEST_SHOWN and 'characters left out' in said_html('<'*2_000_000)


def test_rounds_between_are_folded_and_repetitions_said():
    shown = own_words(answered({f'mot-r{t}': ('a' if t < 3 else f'a{t}', 'wrong') for t in range(1, 6)}))
    assert 'rounds 2 to 4: wrong, wrong, wrong' in shown.source and 'the same words as the round before' in shown.source
    assert shown.text.count('MoT, round') == 5 and [r[1] for r in shown.rows] == [f'round {t}' for t in range(1, 6)]


def test_the_question_is_chosen_by_rule():
    "The largest min(right, not right); of equal ones the first."
    problems = tuple(Problem(str(i), 'q', '4', 's') for i in range(4))
    marks = ['rrrr', 'rrrw', 'rrww', 'wwrt']
    name = {'r': 'right', 'w': 'wrong', 't': 'truncated'}
    of = {f's{j}': {p.id: (Marked('x', name[marks[i][j]]),) for i, p in enumerate(problems)} for j in range(4)}
    assert [p.id for p in most_different(AnswerSet(problems, of), 9)] == ['2', '1', '3', '0']


def test_pairs():
    answers = lambda marks: tuple(Marked('x', {'r': 'right', 'w': 'wrong'}[m]) for m in marks)
    assert has_right(answers('rw')) and not has_right(answers('rww')) and not has_right(())
    problems = tuple(Problem(str(i), 'q', '4', 's') for i in range(5))
    a, b = ({p.id: answers(m) for p, m in zip(problems, marks)} for marks in (('r', 'w', 'rrw', 'w'), 'wrrw'))
    found = sorted_pair(AnswerSet(problems, dict(a=a, b=b)), 'a', 'b')
    assert {k: [p.id for p in v] for k, v in found.items()} == {'only a': ['0'], 'only b': ['1'], 'both': ['2'],
                                                               'neither': ['3']}


PAIRS = [("", ""), ("x", "x"), ("", "x"), ("a b c", "a x c"), ("a b", "a b c"), ("a\nb", "a b"), ("a b ", "a b"),
         (" a", "a"), ("ab", "a b")]


@pytest.mark.parametrize("a, b", PAIRS)
def test_first_parting(a, b):
    "Before it the texts are the same but for white space; it is None only where they are equal."
    found = first_parting(a, b)
    assert (found is None) == (a == b)
    if found is None: return
    s, e, t, f = found
    assert a[:s].split() == b[:t].split() and (a[s:e] or b[t:f]) and e <= len(a) and f <= len(b)
    assert a[s:e] != b[t:f] or a[:s] != b[:t]
