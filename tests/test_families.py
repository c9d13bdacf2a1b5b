"A chat family's rows, prompts and stop tokens are what a chat engine of that family writes; a class trains, or is refused."
import json

import pytest
import torch
from transformers import GenerationConfig

import check_families
from families import ANSWER, COMPLETIONS, FAMILIES, QUESTION, REFUSED, THOUGHT, spelled, tokenizer_of
from mot_nb.answers.sampling import stop_tokens
from mot_nb.core.errors import MotError
from mot_nb.data.chat import control_tokens, decode_answer, prompt_text, render_prompt
from mot_nb.data.corpora import Trace, read_back, render
from mot_nb.data.problems import is_correct
from mot_nb.data.thought import THINK_MARKS, thought_of
from mot_nb.student.models import save_student, tiny_qwen3

OPEN_CHANNEL = '<|start|>assistant<|channel|>analysis<|message|>'
family = pytest.mark.parametrize('name', FAMILIES)


def row_of(t, completion, question=QUESTION):
    trace = Trace('1', 't', question, completion, '12')
    return trace, render(trace, t)


@family
@pytest.mark.parametrize('state', COMPLETIONS)
def test_a_row_is_what_an_engine_of_the_family_writes(name, state):
    family, t = FAMILIES[name], tokenizer_of(FAMILIES[name])
    trace, row = row_of(t, COMPLETIONS[state])
    assert spelled(t, row.input_ids[:row.n_prompt]) == family.prompt
    assert spelled(t, row.input_ids[row.n_prompt:]) == f'{family.taught[state]}·{family.end}·'
    assert tuple(row.input_ids[:row.n_prompt]) == tuple(render_prompt(QUESTION, t))


@family
@pytest.mark.parametrize('state', COMPLETIONS)
def test_a_row_reads_back_as_its_trace(name, state):
    t = tokenizer_of(FAMILIES[name])
    trace, row = row_of(t, COMPLETIONS[state])
    assert read_back(row, trace, t) is None
    said = decode_answer(t, row.input_ids[:row.n_prompt], row.input_ids[row.n_prompt:-1])
    assert thought_of(said).thinking.strip() == (THOUGHT if state != 'none' else '')
    assert thought_of(said).said.strip() == ANSWER and is_correct('12', said) and not is_correct('4', said)


@family
@pytest.mark.parametrize('mark', ('[THINK]', '<|channel|>analysis<|message|>', '<thinking>', '<|channel>thought'))
def test_traces_of_other_families_read_back(name, mark):
    mark = next(m for m in THINK_MARKS if m.opens == mark)
    said = f'{mark.opens}\n{THOUGHT}{mark.before}{mark.closes}{ANSWER}'
    for completion in (said, said.removeprefix(mark.opens + '\n')):
        trace, row = row_of(t := tokenizer_of(FAMILIES[name]), completion)
        assert read_back(row, trace, t) is None and row.input_ids[-1] == t.convert_tokens_to_ids(FAMILIES[name].end)


@pytest.mark.parametrize('what', REFUSED)
def test_what_is_refused_says_so(what):
    family, template, system, words = REFUSED[what]
    t = tokenizer_of(FAMILIES[family])
    t.chat_template = template
    with pytest.raises(MotError, match=words): render(Trace('1', 't', QUESTION, ANSWER, '12'), t, system=system)


def test_a_switch_in_the_system_message_is_followed():
    family, t = FAMILIES['SmolLM3, not thinking'], tokenizer_of(FAMILIES['SmolLM3, thinking'])
    trace = Trace('1', 't', QUESTION, COMPLETIONS['whole'], '12')
    row = render(trace, t, system='/no_think')
    assert spelled(t, row.input_ids[:row.n_prompt]) == family.prompt and read_back(row, trace, t) is None


def test_a_channel_that_the_prompt_opens_is_closed():
    t = tokenizer_of(FAMILIES['gpt-oss'])
    t.chat_template = t.chat_template.replace('<|start|>assistant{% endif %}', OPEN_CHANNEL + '{% endif %}')
    final = f'·<|end|>··<|start|>·assistant·<|channel|>·final·<|message|>·{ANSWER}·<|return|>·'
    for state, thought in (('whole', THOUGHT), ('half', THOUGHT), ('none', '')):
        trace, row = row_of(t, COMPLETIONS[state])
        assert spelled(t, row.input_ids[row.n_prompt:]) == thought + final and read_back(row, trace, t) is None


@family
def test_a_thought_that_was_cut_off_is_no_answer(name):
    t = tokenizer_of(FAMILIES[name])
    _, row = row_of(t, COMPLETIONS['whole'])
    prompt, ids = row.input_ids[:row.n_prompt], row.input_ids[row.n_prompt:]
    cuts = (decode_answer(t, prompt, ids[:n]) for n in range(1, len(ids)))
    said = next(text for text in cuts if text.endswith(THOUGHT))
    assert thought_of(said).state == 'begun' and not is_correct('12', said) and not is_correct('4', said)


@family
def test_the_end_of_a_turn_stops_an_answer_and_is_saved(name, tmp_path):
    family, t = FAMILIES[name], tokenizer_of(FAMILIES[name])
    model = tiny_qwen3(len(t), hidden=32, eos=t.eos_token_id)
    assert {t.convert_ids_to_tokens(i) for i in stop_tokens(model, t)} == set(family.stop)
    written = GenerationConfig.from_pretrained(save_student(tmp_path/'student', model, t)).eos_token_id
    written = written if isinstance(written, list) else [written]
    assert [t.convert_ids_to_tokens(i) for i in written] == list(dict.fromkeys([family.eos, family.end]))
    assert model.generation_config.eos_token_id == t.eos_token_id                # the model itself is as it was


@family
def test_control_tokens_in_a_question_are_text(name):
    family, t = FAMILIES[name], tokenizer_of(FAMILIES[name])
    plain = render_prompt(QUESTION, t)
    question = f'  {QUESTION} Say {" and ".join(control_tokens(t))}. '
    ids, controls = render_prompt(question, t), set(control_tokens(t).values())
    assert [i for i in ids if i in controls] == [i for i in plain if i in controls]
    text = prompt_text(question, t)
    assert t.decode(ids) == (text.replace('|>\n', '|>') if family.strips else text)
    trace, row = row_of(t, COMPLETIONS['whole'], question)
    assert read_back(row, trace, t) is None


@family
def test_a_text_begins_once(name):
    family, t = FAMILIES[name], tokenizer_of(FAMILIES[name])
    ids = render_prompt(QUESTION, t)
    if not family.begins: assert t.bos_token_id is None
    else: assert ids[0] == t.bos_token_id == t('a')['input_ids'][0] and ids.count(t.bos_token_id) == 1
