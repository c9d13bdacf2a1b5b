"A chat family's rows, prompts and stops are what an engine of that family writes; a class trains, or is refused."
import re

import pytest
import torch
from transformers import GenerationConfig

import check_families
from families import ANSWER, COMPLETIONS, FAMILIES, QUESTION, REFUSED, THOUGHT, spelled, tokenizer_of
from mot_nb.answers.sampling import generate, stop_tokens
from mot_nb.core.errors import MotError
from mot_nb.core.records import read_recorded, recorded
from mot_nb.core.settings import TrainSettings
from mot_nb.data.chat import control_tokens, decode_answer, prompt_text, render_prompt
from mot_nb.data.corpora import Trace, read_back, render
from mot_nb.data.problems import is_correct
from mot_nb.data.thought import THINK_MARKS, thought_of
from mot_nb.student.branch import Branch
from mot_nb.student.loss import row_losses
from mot_nb.student.models import byte_tokenizer, save_student, tiny_qwen3
from tiny_models import CLASSES, MORE, tiny_model

OPEN_CHANNEL = '<|start|>assistant<|channel|>analysis<|message|>'
# all do; a part without gradient; values of another width; counts positions; ignores them; attention of its
# own; a state
SAMPLE = ('Qwen3ForCausalLM', 'AfmoeForCausalLM', 'DeepseekV3ForCausalLM', 'RobertaForCausalLM', 'BartForCausalLM',
          'GPTJForCausalLM', 'FalconMambaForCausalLM')
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


# -- classes ---------------------------------------------------------------------------------------------------

def of_record(kind): return {r[kind]: r for r in read_recorded(recorded('checks/families'))[1] if kind in r}


def without_shares(row): return {k: re.sub(r'[\d.]+%', '%', str(v)) for k, v in row.items()}


def test_the_record_holds_every_class_and_no_fault():
    rows = of_record('class')
    assert sorted(rows) == CLASSES and not any(map(check_families.faults, rows.values()))
    assert sum(all(r.get(s) == 'yes' for s in check_families.STEPS) for r in rows.values()) >= 80
    assert sum(r['built'] != 'yes' for r in rows.values()) <= 6


@pytest.mark.parametrize('name', SAMPLE)
def test_a_class_does_what_was_recorded(name):
    row = check_families.family(name)
    assert not check_families.faults(row) and without_shares(row) == without_shares(of_record('class')[name])


@pytest.mark.long
def test_every_class_does_what_was_recorded():
    of = of_record('class')
    rows = {n: check_families.family(n) for n in CLASSES}
    assert [n for n in CLASSES if without_shares(rows[n]) != without_shares(of[n])] == []


def test_the_record_holds_every_template():
    wanted = {**{n: check_families.template(n) for n in FAMILIES}, **{n: check_families.refusal(n) for n in REFUSED}}
    assert of_record('template') == wanted


@pytest.mark.parametrize('name', ('BertLMHeadModel', 'RoCBertForCausalLM'))
def test_a_model_that_looks_at_both_sides_of_a_token_is_refused(name, monkeypatch):
    monkeypatch.setitem(MORE, name, {**MORE[name], 'is_decoder': False})
    model, t = tiny_model(name), byte_tokenizer()
    with pytest.raises(MotError, match=f"(?s){name}.*own forward pass"):
        row_losses(model, check_families.ROWS)
    with pytest.raises(MotError, match='batch'): generate(model, t, [QUESTION], max_new_tokens=2)


@pytest.mark.parametrize('compute', ('float32', 'bfloat16'))
def test_a_part_that_no_token_goes_through_stays_as_it_is(compute):
    model = tiny_qwen3(len(byte_tokenizer()), hidden=32)
    model.model.spare = torch.nn.Linear(3, 3)
    before = model.model.spare.weight.clone()
    branch = Branch(model, check_families.ROWS, TrainSettings(lr=1e-2, batch=3, compute=compute), 2)
    assert len(branch.train(2)) == 2 and set(branch.optimiser.state) == set(branch.masters.values())
    branch.close()
    assert torch.equal(model.model.spare.weight, before)


def test_a_model_without_replaceable_attention_is_refused_with_its_own_cure(tmp_path):
    from mot_nb.student.students import load_student
    save_student(tmp_path/'student', tiny_model('GPTJForCausalLM'), byte_tokenizer())
    with pytest.raises(MotError, match='GPTJForCausalLM') as e: load_student(tmp_path/'student')
    assert 'another family' in str(e.value) and 'whole folder' not in str(e.value)
