"Right answers that must count, wrong ones that must not, and references however they are written."
import json, time

import pytest

from mot_nb.core.errors import MotError
from mot_nb.core.files import data_folder
from mot_nb.core.hashes import hash_file
from mot_nb.core.records import read_recorded, recorded
from mot_nb.data.problems import (extract_answer, final_answer, is_correct, problems_from_rows, read_problems,
                                  same_answer)
from mot_nb.data.thought import after_thought, prompt_state, thought_of, thought_state, without_end

TRAPS = [json.loads(l) for l in (data_folder()/'grader_traps.jsonl').read_text(encoding='utf-8').splitlines()]
NEW = TRAPS[1057:]     # scripts without spaces, numbers in words, curves, denials; the page grades them all


def verdict(t): return same_answer(t['gold'], t['answer'], 30.) if 'answer' in t else is_correct(t['gold'], t['text'])


@pytest.mark.parametrize('trap', NEW, ids=lambda t: f"{t['gold']} ~ {t.get('answer', t.get('text'))}"[:60])
def test_a_new_trap(trap): assert verdict(trap) == trap['right']


def test_every_trap_says_what_math_verify_answers():
    assert len(TRAPS) >= 1151 and all(type(t['math_verify']) is bool for t in TRAPS)
    assert sum(t['math_verify'] == t['right'] for t in NEW) < len(NEW)


def test_the_record_counts_the_list_that_ships():
    head, rows = read_recorded(recorded('checks/grader'))
    assert head['files']['grader_traps.jsonl'] == hash_file(data_folder()/'grader_traps.jsonl')
    for r in (r for r in rows if r['set'] == 'traps'):
        own = [t for t in TRAPS if t['kind'] == r['kind']]
        for side, right in enumerate((True, False)):
            of = [t for t in own if t['right'] == right]
            agrees = sum(t['math_verify'] == right for t in of)
            assert (r['pairs'][side], r['ours'][side], r['math_verify'][side]) == (len(of), len(of), agrees)


def test_the_new_traps_are_right_and_wrong_ones():
    assert sum(t['right'] for t in NEW) > 40 < len(TRAPS) and sum(not t['right'] for t in NEW) > 25


# -- kind 13: scripts without spaces -------------------------------------------------------------------------

@pytest.mark.parametrize('text', ('答案是25。', '所以一共有25个苹果', '答えは25です。', '答案：25',
                                  '정답은 25입니다.', '共有２５人'))
def test_a_number_among_letters_of_scripts_without_spaces(text):
    assert is_correct('25', text) and not is_correct('5', text) and not is_correct('2', text)


@pytest.mark.parametrize('text', ('一共25万个', '答案是25亿', '答えは25万です。'))
def test_a_number_with_a_sign_of_size_is_another(text): assert not is_correct('25', text)


# -- kind 14 and 24 ------------------------------------------------------------------------------------------

@pytest.mark.parametrize('gold, text', (
    ('601', r'\boxed{m+n=601}'), ('B', 'The correct answer is option B.'),
    ('2x+4y-6=0', r'\boxed{y=-\frac{1}{2}x+\frac{3}{2}}'), (r'9\pi', 'The answer is 9π.'),
    (r'9\pi', 'The answer is 9 pi.'),
    ('x^2-4', 'The answer is x²-4.'), ('y=2x+1', 'The answer is 2x+1=y.'), ('(1,-2)', r'\boxed{x=1, y=-2}'),
    ('8', 'The answer is 8 (not 7).'), ('123', r'\boxed{１２３}'), ('12', 'The answer is twelve.'),
    ('0', r'\boxed{\text{zero}}'), ('B', r'\boxed{B) 12}'), ('1/3', r'\boxed{0.\bar{3}}'),
    (r'\emptyset', r'\boxed{\varnothing}'),
    ('7/2', 'The answer is 3 and 1/2.'), ('1011_2', r'\boxed{1011_{\text{two}}}'), ('9', 'The answer is not 8 but 9.')))
def test_right_answers_that_were_lost(gold, text): assert is_correct(gold, text)


@pytest.mark.parametrize('gold, text', (
    ('8', 'The answer is not 8.'), ('8', 'unknown: maybe 8'), ('8', 'The answer is unknown: maybe 8'),
    ('8', 'It is not 8.'), ('9', 'The answer is 9π.'), ('12', 'The answer is twelve dozen.'),
    ('12', 'The answer is 12 and a half.'), ('602', r'\boxed{m+n=601}'),
    ('10', r'\boxed{2x=10}'), ('C', r'\boxed{B) 12}'),
    ('(1,-2)', r'\boxed{x=-2, y=1}'), ('7', 'The answer is 8 (not 7).'),
    ('7/2', 'The answer is 3 or 1/2.'), ('2x+4y-6=0', r'\boxed{y=-\frac{1}{2}x+\frac{1}{2}}')))
def test_wrong_answers_that_must_not_pass(gold, text): assert not is_correct(gold, text)


@pytest.mark.parametrize('text', ('</s>' * 250_000, 'answer is ' + 'not ' * 250_000, '<think>' * 140_000,
                                  '\\boxed{' + 'one and ' * 40 + '}', '答案是' * 110_000,
                                  '\\boxed{' + 'x=1, ' * 75 + '}', 'answer is not ' + 'but ' * 480))
def test_hostile_text_takes_as_long_as_its_length(text):
    start = time.process_time()
    extract_answer(text)
    assert time.process_time() - start < 5


# -- kind 6: references --------------------------------------------------------------------------------------

def test_one_function_makes_the_answer_of_a_reference():
    assert final_answer('3*4=<<3*4=12>>12\n#### 12') == final_answer('so \\boxed{12}') == final_answer(' 12 ') == '12'
    assert final_answer('<think>13?</think>The answer is 12.') == '12'
    assert final_answer('\\frac{1}{2}') == '\\frac{1}{2}'
    assert final_answer('#### we see') == ''


def test_whole_solutions_in_a_file_of_problems(tmp_path):
    row = {'id': '1', 'question': 'What is 3 times 4?', 'answer': '3*4=<<3*4=12>>12\n#### 12', 'source': 's'}
    (tmp_path/'p.jsonl').write_text(json.dumps(row))
    assert read_problems(tmp_path/'p.jsonl')[0].answer == problems_from_rows([row], 's')[0].answer == '12'
    (tmp_path/'p.jsonl').write_text(json.dumps({**row, 'answer': '#### we see'}))
    with pytest.raises(MotError, match='without a final answer'): read_problems(tmp_path/'p.jsonl')


# -- kind 9: thoughts ----------------------------------------------------------------------------------------

@pytest.mark.parametrize('text, state, said', (
    ('<think>a</think>b', 'whole', 'b'), ('a</think>b', 'half', 'b'), ('<think>a', 'begun', ''), ('a', 'none', 'a'),
    ('[THINK]a[/THINK]b', 'whole', 'b'), ('<think>a</think>b<think>c', 'begun', ''),
    ('a</think>the tag <thinking>', 'half', 'the tag <thinking>')))
def test_a_text_taken_apart(text, state, said):
    assert (thought_state(text), after_thought(text)) == (state, said) and thought_of(text).state == state


def test_what_stands_at_the_end_of_a_prompt():
    prompts = 'x<think>\n', 'x<think>\n\n</think>\n\n', 'x', '<think>a</think>'
    assert [prompt_state(t)[0] for t in prompts] == ['open', 'closed', 'none', 'none']


def test_end_marks_are_taken_off_the_end_alone():
    assert without_end('a</s>\n') == 'a' and without_end('a </s> b \n') == 'a </s> b \n'
    assert without_end('a<my>', ('<my>',)) == 'a'


@pytest.mark.parametrize('gold, answer, right', (('1, 1, 2', '2, 1, 1', True), ('1, 1, 2', '1, 2, 2', False),
                                                 ('1, 2, 2', '1, 1, 2', False), (r'\{1, 2\}', r'\{2, 1\}', True)))
def test_every_part_of_a_set_is_used_once(gold, answer, right): assert same_answer(gold, answer) == right
