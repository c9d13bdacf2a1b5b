"What a student is taught reads back as the trace that was meant; what a file holds is read or refused by name."
import json, math
from dataclasses import replace

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from mot_nb.core.errors import MotError
from mot_nb.data.chat import PLAIN_TEMPLATE, decode_answer, end_of_turn, prompt_text, render_prompt
from mot_nb.data.corpora import (Corpus, Trace, corpus_from_rows, filter_correct, one_per_problem, read_back,
                                 read_corpus, render, render_corpus)
from mot_nb.data.problems import extract_answer, is_correct
from mot_nb.student.models import byte_tokenizer

QUESTION = 'What is 3 times 4?'
WHOLE, HALF = '<think>\n3 * 4\n</think>\n\nAnswer: 12', '3 * 4\n</think>\n\nAnswer: 12'
NONE = '3 * 4 = 12\nAnswer: 12'
MARKS = {'think': ('<think>', '</think>'), 'magistral': ('[THINK]', '[/THINK]'),
         'thinking': ('<thinking>', '</thinking>')}
BEHIND = {'open': '{0}\n', 'closed': '{0}\n\n{1}\n\n', 'none': ''}


def trace(completion, prompt=QUESTION): return Trace('1', 't', prompt, completion, '12')


def special(tokenizer, *names):
    "The tokenizer with control tokens that have no name."
    tokenizer.add_tokens([AddedToken(n, special=True, normalized=False) for n in names], special_tokens=True)
    return tokenizer


def templated(state='none', family='think', control=False):
    "A byte tokenizer whose template begins a thought, writes an empty one, or neither."
    t = special(byte_tokenizer(), *MARKS[family]) if control else byte_tokenizer()
    behind = BEHIND[state].format(*MARKS[family])
    t.chat_template = t.chat_template.replace("'<|im_start|>assistant\n'", f"'<|im_start|>assistant\n{behind}'")
    return t


def answer_of(row, tokenizer):
    return decode_answer(tokenizer, row.input_ids[:row.n_prompt], row.input_ids[row.n_prompt:-1])


# -- kind 1 and 9: think marks -------------------------------------------------------------------------------

@pytest.mark.parametrize('control', (False, True))
@pytest.mark.parametrize('family', MARKS)
@pytest.mark.parametrize('state', BEHIND)
@pytest.mark.parametrize('completion', (WHOLE, HALF, NONE))
def test_a_row_reads_back_whatever_the_template_and_the_trace(state, family, control, completion):
    t = templated(state, family, control)
    row = render(trace(completion), t)
    assert read_back(row, trace(completion), t) is None
    assert is_correct('12', answer_of(row, t)) and not is_correct('13', answer_of(row, t))
    assert row.input_ids[:row.n_prompt] == tuple(render_prompt(QUESTION, t))


def test_what_is_taught_behind_each_prompt():
    def taught(state, completion):
        t = templated(state)
        row = render(trace(completion), t)
        return t.decode(row.input_ids[row.n_prompt:-1])
    assert taught('open', WHOLE) == taught('open', HALF) == HALF
    assert taught('open', NONE) == f'\n</think>\n\n{NONE}'
    assert taught('none', WHOLE) == taught('none', HALF) == taught('closed', HALF) == WHOLE
    assert taught('none', NONE) == taught('closed', NONE) == NONE


def test_a_question_about_think_marks_opens_no_thought():
    t = byte_tokenizer()
    t.chat_template = PLAIN_TEMPLATE
    row = render(trace(WHOLE, 'Why write <think>'), t)
    assert t.decode(row.input_ids[row.n_prompt:-1]) == WHOLE


def test_read_back_says_what_is_wrong():
    t = byte_tokenizer()
    row = render(trace(NONE), t)
    assert read_back(row, trace(NONE), t) is None
    assert 'thought' in read_back(row, trace(WHOLE), t) and 'answer' in read_back(row, trace('Answer: 13'), t)
    cut = type(row)(row.problem_id, row.teacher, row.index, row.input_ids[:-1], row.n_prompt)
    assert "'<|im_end|>'" in read_back(cut, trace(NONE), t)


def test_own_think_marks_are_taught_as_tokens_and_stay_in_answers():
    t = special(byte_tokenizer(), '<think>', '</think>')
    row = render(trace('<think>\nperhaps 7\n</think>\n\nAnswer: 12'), t)
    own = t.encode('<think>\nperhaps 7', add_special_tokens=False)
    assert t.convert_ids_to_tokens(row.input_ids[row.n_prompt]) == '<think>'
    assert row.input_ids[row.n_prompt:].count(t.convert_tokens_to_ids('</think>')) == 1
    said = decode_answer(t, row.input_ids[:row.n_prompt], own)
    assert said == '<think>\nperhaps 7' and extract_answer(said) is None


@pytest.mark.parametrize('text', ('[THINK]perhaps 7', '<thinking>perhaps 7', '<|channel|>analysis<|message|>perhaps 7',
                                  '<think>perhaps 7', '◁think▷perhaps 7', '<|START_THINKING|>perhaps 7'))
def test_a_truncated_thought_is_no_answer(text): assert extract_answer(text) is None


def test_an_answer_behind_any_thought_is_read():
    channel = '<|channel|>analysis<|message|>8?<|end|><|start|>assistant<|channel|>final<|message|>Answer: 7'
    for text in ('[THINK]8?[/THINK]Answer: 7', channel, '<think>8?</think>Use <thinking> tags. Answer: 7'):
        assert extract_answer(text) == '7'


@pytest.mark.parametrize('family', MARKS)
def test_an_answer_shows_the_thought_its_prompt_opened(family):
    "What a student writes behind an opened thought is a thought until it says that it ended."
    t = templated('open', family)
    prompt = render_prompt(QUESTION, t)
    text = decode_answer(t, prompt, t.encode('perhaps 12', add_special_tokens=False))
    assert text == f'{MARKS[family][0]}\nperhaps 12' and extract_answer(text) is None


# -- kind 2: end of turn -------------------------------------------------------------------------------------

def ended(eos, template=None):
    t = byte_tokenizer()
    t.add_special_tokens({'eos_token': eos})
    if template: t.chat_template = template
    return t, t.convert_ids_to_tokens(render(trace('Answer: 12'), t).input_ids[-1])


def test_a_row_ends_as_the_template_ends_a_turn():
    assert ended('<eos>')[1] == '<|im_end|>' and ended('<|endoftext|>')[1] == '<|im_end|>'
    t, _ = ended('<eos>')
    assert end_of_turn(t) == t.convert_tokens_to_ids('<|im_end|>') != t.eos_token_id


def test_the_first_token_behind_a_message_ends_the_turn():
    "Templates that write the end of turn and then the end of the text, in this order and in the other."
    form = "{% for m in messages %}<|im_start|>{{ m['role'] + '\n' + m['content'] }}ENDS\n{% endfor %}"
    for ends in (('<|im_end|>', '<eos>'), ('<eos>', '<|im_end|>')):
        assert ended('<eos>', form.replace('ENDS', ''.join(ends)))[1] == ends[0]


def test_a_template_without_an_end_leaves_the_tokenizers_own():
    assert ended('<eos>', PLAIN_TEMPLATE)[1] == '<eos>'
    strict = "{% if messages|length > 1 %}{{ raise_exception('one message') }}{% endif %}{{ messages[0]['content'] }}"
    assert ended('<eos>', strict)[1] == '<eos>'


# -- kind 5: content of rows ---------------------------------------------------------------------------------

ASKED = {'role': 'user', 'content': QUESTION}


def completion_of(**message):
    row = {'messages': [ASKED, {'role': 'assistant', **message}], 'answer': '12'}
    return corpus_from_rows([(1, row)], 't').traces[0].completion


def test_a_thought_beside_the_text_is_put_in_front():
    meant = '<think>\n3 * 4\n</think>\n\n\\boxed{12}'
    for key in ('thinking', 'reasoning', 'reasoning_content'):
        assert completion_of(content='\\boxed{12}', **{key: '3 * 4'}) == meant
    parts = [{'type': 'thinking', 'thinking': '3 * 4'}, {'type': 'text', 'text': '\\boxed{12}'}]
    assert completion_of(content=parts) == meant
    assert completion_of(content=meant, reasoning='3 * 4') == meant


def test_parts_that_arrow_filled_with_nulls_are_read():
    text = {'type': 'text', 'text': '\\boxed{12}', 'image_url': None}
    assert completion_of(content=[{'type': 'text', 'text': None}, text], tool_calls=None) == '\\boxed{12}'
    assert completion_of(content=['so ', text]) == 'so \\boxed{12}'


@pytest.mark.parametrize('message, named', (
    ({'content': '12', 'tool_calls': [{'id': 1}]}, 'tool_calls'),
    ({'content': [{'type': 'image_url', 'image_url': 'x'}, {'type': 'text', 'text': '12'}]}, 'image_url'),
    ({'content': '12', 'reasoning': 'a', 'thinking': 'b'}, 'several thoughts'),
    ({'content': '12', 'thinking': ['a']}, 'thinking'), ({'content': [{'type': 'text', 'text': 12}]}, 'int')))
def test_what_would_be_lost_is_refused_by_name(message, named):
    with pytest.raises(MotError, match=named): completion_of(**message)


# -- kind 6 and 7: references and end marks ------------------------------------------------------------------

def kept(**changes):
    row = {'problem_id': '1', 'prompt': QUESTION, 'completion': '3 * 4 = 12\n#### 12', 'reference': '12', **changes}
    return filter_correct(corpus_from_rows([(1, row)], 't'))


def test_whole_solutions_are_references_too():
    for reference in ('3*4=<<3*4=12>>12\n#### 12', 'So it is \\boxed{12}.', 'We multiply. The answer is 12.', 12.0):
        assert kept(reference=reference).traces[0].reference in ('12', '12.0')
    row = {'messages': [ASKED, {'role': 'assistant', 'content': 'Answer: 12'}], 'answer': '3*4=<<3*4=12>>12\n#### 12'}
    assert filter_correct(corpus_from_rows([(1, row)], 't')).traces[0].reference == '12'


def test_no_number_is_no_reference():
    assert kept(reference=math.nan).traces[0].reference == kept(reference=None).traces[0].reference == ''
    assert kept(reference=math.nan, answer='12').traces[0].reference == '12'


def test_a_corpus_that_is_all_wrong_shows_one():
    with pytest.raises(MotError, match=r"reference '13', found in the trace '12'"): kept(reference='13')


@pytest.mark.parametrize('end', ('<|im_end|>', '</s>', '<|eot_id|>', '<end_of_turn>', '<｜end▁of▁sentence｜>',
                                 '<|im_end|>\n', '</s></s>'))
def test_an_end_mark_is_taken_off_and_counted(end):
    corpus = kept(completion=f'Answer: 12{end}')
    assert corpus.traces[0].completion == 'Answer: 12' and corpus.mended == {'end mark taken off': 1}
    assert 'end mark' in repr(corpus) and is_correct('12', f'Answer: 12{end}')
    t = byte_tokenizer()
    assert t.decode(render(trace(f'Answer: 12{end}'), t).input_ids).endswith('Answer: 12<|im_end|>')


def test_an_end_mark_inside_a_text_stays():
    corpus = kept(completion='The tag </s> ends it. Answer: 12')
    assert '</s>' in corpus.traces[0].completion and not corpus.mended and 'mended' not in repr(corpus)


# -- kind 8: files and layouts -------------------------------------------------------------------------------

def test_a_json_list_and_other_layouts_are_read(tmp_path):
    rows = [{'conversations': [{'from': 'human', 'value': QUESTION}, {'from': 'gpt', 'value': 'Answer: 12'}]},
            {'instruction': QUESTION, 'input': '', 'output': 'Answer: 12'},
            {'problem': QUESTION, 'generated_solution': 'Answer: 12', 'expected_answer': '12'}]
    (tmp_path/'a.json').write_text(json.dumps(rows, indent=1))
    found = read_corpus(tmp_path/'a.json', teacher='t').traces
    assert {(t.prompt, t.completion) for t in found} == {(QUESTION, 'Answer: 12')} and found[2].reference == '12'


def test_an_unknown_layout_names_its_columns_and_the_known_ones():
    with pytest.raises(MotError, match=r'columns foo, bar; known: prompt, completion; messages'):
        corpus_from_rows([(1, {'foo': 1, 'bar': 2})], 't')
    with pytest.raises(MotError, match="'completion' is missing; columns: prompt, response"):
        corpus_from_rows([(1, {'prompt': 'a', 'response': 'b'})], 't')


# -- kind 10: control tokens and ids of the prompt -----------------------------------------------------------

@pytest.mark.parametrize('name', ('<|turn|>', '<|start_header_id|>', '<|end|>'))
def test_a_control_token_without_a_name_is_text_in_a_message(name):
    t = special(byte_tokenizer(), name)
    ids = render_prompt(f'What does {name} mean?', t)
    assert ids.count(t.convert_tokens_to_ids(name)) == 0 and t.decode(ids) == prompt_text(f'What does {name} mean?', t)
    assert render_prompt('hi', t, system=f'no {name}').count(t.convert_tokens_to_ids(name)) == 0


@pytest.mark.parametrize('question', ('hi', 'what is <s>?', ''))
def test_base_models_begin_as_their_tokenizer_does(question):
    t = special(byte_tokenizer(), '<s>')
    begin = t.convert_tokens_to_ids('<s>')
    t.backend_tokenizer.post_processor = TemplateProcessing(single='<s> $A', special_tokens=[('<s>', begin)])
    assert t('hi')['input_ids'][0] == begin and render_prompt(question, t)[0] != begin   # ChatML begins by itself
    t.chat_template = PLAIN_TEMPLATE
    ids = render_prompt(question, t)
    assert ids[0] == begin and ids.count(begin) == 1


@pytest.mark.parametrize('form, said', (('%d %B %Y', '26 July 2024'), ('%Y', '2024'), ('%d %b', '26 Jul')))
def test_a_template_that_prints_the_date_prints_one_date(form, said):
    t = byte_tokenizer()
    t.chat_template = "<|im_start|>system\nToday: {{ strftime_now('" + form + "') }}<|im_end|>\n" + t.chat_template
    assert t.decode(render_prompt('hi', t)).startswith(f'<|im_start|>system\nToday: {said}<|im_end|>')


def pieces_tokenizer(scheme, tail):
    "A SentencePiece-like tokenizer of single characters, with Zephyr's manner of writing turns."
    letters = sorted(set('▁\n abcdefghijklmnopqrstuvwxyzSWA0123456789.:?<|>*=/+-'))
    t = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    t.decoder = decoders.Metaspace(prepend_scheme=scheme)
    t = PreTrainedTokenizerFast(tokenizer_object=t, eos_token='</s>',
                                additional_special_tokens=['<|user|>', '<|assistant|>'])
    t.chat_template = ("{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}</s>\n{% endfor %}"
                       "{% if add_generation_prompt %}<|assistant|>" + tail + '{% endif %}')
    return t


@pytest.mark.parametrize('scheme', ('first', 'always'))
@pytest.mark.parametrize('tail', ('\n', '', 'So: '))
def test_no_blank_is_taught_that_the_template_has_not(scheme, tail):
    t = pieces_tokenizer(scheme, tail)
    one = trace('So it is 12.\nAnswer: 12', 'what is it?')
    row = render(one, t)
    assert list(row.input_ids[:-1]) == t.encode(prompt_text(one.prompt, t) + one.completion, add_special_tokens=False)
    assert read_back(row, one, t) is None


def test_pieces_of_a_prompt_have_no_blanks_of_their_own():
    t = pieces_tokenizer('first', '\n')
    ids = render_prompt('what is </s> now?', t)
    assert t.convert_ids_to_tokens(ids)[:4] == ['<|user|>', '\n', 'w', 'h']
    assert ids.count(t.eos_token_id) == 1 and t.convert_ids_to_tokens(ids)[-3:] == ['\n', '<|assistant|>', '\n']


# -- kind 11 and 22: templates that cannot be used -----------------------------------------------------------

REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"


@pytest.mark.parametrize('template, system, said', (
    (REFUSES, 'Think first.', 'leave data.system out'), ('{{ 1 + "a" }}', None, 'refuses these messages'),
    ('{% if %}', None, 'refuses these messages')))
def test_what_a_template_raises_is_an_error_with_a_cure(template, system, said):
    t = byte_tokenizer()
    t.chat_template = template + t.chat_template
    with pytest.raises(MotError, match=said): render_prompt('hi', t, system=system)


@pytest.mark.parametrize('template, system, said', (
    ('<|im_start|>user\nhello<|im_end|>\n', None, 'leaves the question out'),
    ("{{ messages|length }}", None, 'leaves the question out'),
    ("{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}", 'Be brief.',
     'leaves the system message out')))
def test_a_template_that_ignores_a_message_is_refused(template, system, said):
    t = byte_tokenizer()
    t.chat_template = template
    with pytest.raises(MotError, match=said): render_prompt('hi', t, system=system)


def test_a_base_models_error_says_what_to_write_where():
    t = byte_tokenizer()
    t.chat_template = None
    with pytest.raises(MotError, match='student.template=PLAIN') as e: render_prompt('hi', t)
    assert PLAIN_TEMPLATE in str(e.value)


# -- what is left out is counted -----------------------------------------------------------------------------

def several(n, k=1, completion='Answer: 12'):
    "A corpus of n problems with k traces each."
    trace = lambda i, j: Trace(f'p{i}', 't', 'What is 3 times 4?', f'sample {j}. {completion}', '12')
    return Corpus('t', tuple(trace(i, j) for i in range(n) for j in range(k)))


def test_what_is_dropped_is_counted(tmp_path):
    wrong = Trace('w', 't', 'q', 'Answer: 13', '12')
    unknown = Trace('u', 't', 'q', 'Answer: 13', '')
    mixed = replace(several(3), traces=(*several(3).traces, wrong, unknown), dropped={'wrong answer': 2, 'other': 1})
    kept = filter_correct(mixed)
    assert kept.traces == (*several(3).traces, unknown) and kept.dropped == {'wrong answer': 3, 'other': 1}
    tok = byte_tokenizer()
    long = replace(several(2), traces=(*several(2).traces, Trace('l', 't', 'q', 'so '*200 + 'Answer: 12', '12')))
    limit = len(render(long.traces[0], tok))
    rows = render_corpus(long, tok, limit)
    assert len(rows) == 2 and rows.dropped == {'too long': 1} and max(map(len, rows)) == limit
    texts = 'no idea', 'none', 'Answer: 12'
    lines = [dict(problem_id=f'p{i}', prompt='q', completion=t, reference='12') for i, t in enumerate(texts)]
    (tmp_path/'t.jsonl').write_text(''.join(json.dumps(l) + '\n' for l in lines))
    read = read_corpus(tmp_path/'t.jsonl', unanswered='drop')
    assert len(read) == 1 and read.dropped == {'no final answer': 2}


def test_one_per_problem_is_drawn_for_each():
    "One of four for every problem, not the same of all, others with another seed; the rest are counted."
    drawn = lambda seed: [t.completion for t in one_per_problem(several(40, 4), seed).traces]
    assert len(drawn(0)) == 40 and len(set(drawn(0))) == 4 and drawn(0) == drawn(0) != drawn(1)
    assert one_per_problem(several(40, 4)).dropped == {'another trace of the problem': 120}
