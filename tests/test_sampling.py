"Answers: which students and settings are refused before anything is written, where they end, and what of them is text."
import json

import pytest
import torch
import transformers as tf
from tokenizers import AddedToken

from mot_nb.answers.sampling import (
    Sample,
    answer_text,
    check_sampling,
    choose,
    generate,
    padded_ids,
    read_samples,
    sample_problems,
    step_keys,
    stop_tokens,
)
from mot_nb.answers.server import server_models
from mot_nb.answers.traces import fault_of
from mot_nb.app.cli import main
from mot_nb.core.errors import MotError
from mot_nb.core.files import read_lines
from mot_nb.data.chat import render_prompt
from mot_nb.data.problems import extract_answer, is_correct
from mot_nb.student.models import byte_tokenizer, save_student, tiny_qwen3

SMALL = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4)
MAMBA = dict(mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8)
GRANITE = MAMBA | dict(layer_types=['mamba', 'attention'], num_local_experts=0, shared_intermediate_size=64)
MIXED = dict(layer_types=['conv', 'full_attention'])
RECURRENT = {'Lfm2': MIXED, 'FalconH1': MAMBA | dict(mamba_d_ssm=64), 'RecurrentGemma': dict(lru_width=32, head_dim=8),
             'Mamba': {}, 'GraniteMoeHybrid': GRANITE}
ASKED = ['2 + 2', 'What is 3 + 4?']


def small(name, tok, **more):
    "A tiny student of a family of transformers."
    ids = dict(vocab_size=len(tok), eos_token_id=tok.eos_token_id, pad_token_id=0, bos_token_id=None)
    return getattr(tf, f'{name}ForCausalLM')(getattr(tf, f'{name}Config')(**ids, **{**SMALL, **more})).eval()


@pytest.mark.parametrize('name', RECURRENT)
def test_recurrent_students_are_refused_by_name(name, tmp_path):
    tok, file = byte_tokenizer(), tmp_path/'s.jsonl'
    model = small(name, tok, **RECURRENT[name])
    with pytest.raises(MotError, match=f'layers that keep a state(.|\n)*{name}(.|\n)*cure'):
        generate(model, tok, ASKED, max_new_tokens=2)
    with pytest.raises(MotError, match=name): sample_problems(model, tok, {'a': '2 + 2'}, file, 'h', max_new_tokens=2)
    assert not file.exists()


def test_a_hybrid_folder_is_refused_by_the_command_line(tmp_path, capsys):
    tok = byte_tokenizer()
    folder = save_student(tmp_path/'hybrid', small('Lfm2', tok, **MIXED), tok)
    common = [str(folder), '--pool', 'toy', '--n', '2', '--quiet', 'eval.max_new_tokens=4']
    for command in (['eval', '--out', str(tmp_path/'a.jsonl')], ['traces', '--k', '1', '--out', str(tmp_path/'t')]):
        assert main([*command, *common]) == 1
        assert 'Lfm2ForCausalLM' in capsys.readouterr().err
    assert not (tmp_path/'a.jsonl').exists() and not (tmp_path/'t'/'problems_train.jsonl').exists()


def test_attention_students_with_windows_are_answered():
    tok = byte_tokenizer()
    for model in (small('Llama', tok), small('Mistral', tok, sliding_window=16), small('GPTNeoX', tok)):
        assert len(generate(model, tok, ASKED, max_new_tokens=3)) == 2


def test_rows_without_a_token_are_never_said():
    "A padded vocabulary: its ids used to be chosen, read as '' and counted as text."
    tok = byte_tokenizer()
    n = len(tok)
    assert padded_ids(tok, n) == [] and padded_ids(tok, n + 2) == [n, n + 1]
    model = tiny_qwen3(n + 61, seed=3)
    with torch.no_grad(): model.lm_head.weight[n:].mul_(1000)             # huge logits of both signs
    draw = dict(k=4, temperature=1.)
    for how in (dict(), draw, draw | dict(top_p=.9), draw | dict(top_k=5)):
        said = [s for of in generate(model, tok, ASKED, max_new_tokens=12, **how) for s in of]
        assert all(s.text for s in said if s.n_tokens > 1), said
    seven = tok.encode('7', add_special_tokens=False)
    assert answer_text(tok, [], [n, *seven, n + 60]) == '\ufffd7\ufffd'


SETTINGS = dict(k=1, temperature=0., top_p=1., top_k=0, max_new_tokens=8, batch=4)
WRONG = (dict(k=0), dict(k=2.0), dict(temperature='hot'), dict(temperature=float('nan')), dict(top_p=None),
         dict(top_k=-1), dict(max_new_tokens=1.5), dict(batch=0))


@pytest.mark.parametrize('wrong', WRONG)
def test_settings_out_of_range(wrong):
    with pytest.raises(MotError, match='out of range'): check_sampling(**{**SETTINGS, **wrong})


def test_a_refusal_leaves_nothing_and_the_corrected_call_works(tmp_path):
    tok, file = byte_tokenizer(), tmp_path/'s.jsonl'
    model = tiny_qwen3(len(tok), seed=1)
    ask = lambda **how: sample_problems(model, tok, {'a': '2 + 2', 'b': '3 + 4'}, file, 'h', **how)
    for wrong in (dict(max_new_tokens=10**6), dict(max_new_tokens=4, k=3)):
        with pytest.raises(MotError): ask(**wrong)
        assert not file.exists()
    whole = ask(max_new_tokens=4)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0])                                   # killed after the first line: it binds nobody
    assert ask(max_new_tokens=5)['a'][0].n_tokens == 5
    file.write_bytes(b''.join(lines[:2]))
    assert ask(max_new_tokens=4) == whole and sorted(file.read_bytes().splitlines(keepends=True)) == sorted(lines)
    with pytest.raises(MotError, match='other settings'): ask(max_new_tokens=5)


HEAD = '{"kind": "samples", "hash": "x"}\n'
ODD = ('{"problem_id": "a", "sample": 0}', '[1]',
       '{"problem_id": "a", "sample": [], "text": 7, "n_tokens": 1, "truncated": false, "prompt": "x"}')
FILES = ('my own notes', '# notes\n', '[]\n', '{"kind": "run"}\n', *(f'{HEAD}{line}\n' for line in ODD))


@pytest.mark.parametrize('text', FILES)
def test_files_of_another_kind_are_refused_and_kept(text, tmp_path):
    tok, file = byte_tokenizer(), tmp_path/'notes.md'
    file.write_text(text)
    model = tiny_qwen3(len(tok))
    with pytest.raises(MotError): sample_problems(model, tok, {'a': '2 + 2'}, file, 'h', max_new_tokens=2)
    assert file.read_text() == text


def test_places_that_cannot_be_written(tmp_path, capsys):
    tok = byte_tokenizer()
    model = tiny_qwen3(len(tok))
    (tmp_path/'file').write_text('')
    for place in (tmp_path, tmp_path/'file'/'s.jsonl', '/proc/none/s.jsonl'):
        with pytest.raises(MotError, match='could not write'):
            sample_problems(model, tok, {'a': '2 + 2'}, place, 'h', max_new_tokens=2)
    for command in (['traces', '--out', '/proc/none'], ['eval', '--out', '.']):
        assert main([*command, 'qwen3-tiny', '--pool', 'toy', '--n', '2', '--quiet']) == 1
    assert 'Traceback' not in capsys.readouterr().err


@pytest.mark.parametrize('url', ['localhost:8000', 'nonsense', '', 'http://', 'file:///etc/hostname',
                                 'http://127.0.0.1:1'])
def test_addresses_without_a_server(url):
    with pytest.raises(MotError, match='no server answers here'): server_models(url, timeout=2)


def test_lines_of_a_sample_file_hold_samples(tmp_path):
    tok, file = byte_tokenizer(), tmp_path/'s.jsonl'
    sample_problems(tiny_qwen3(len(tok)), tok, {'a': '2 + 2'}, file, 'h', max_new_tokens=2)
    head, found, asked = read_samples(file)
    assert head['kind'] == 'samples' and found['a'][0].n_tokens == 2 and list(asked) == ['a']
    assert read_lines(file)[1] == json.loads(file.read_text().splitlines()[1])


def with_specials(*names):
    "The byte tokenizer with more special tokens."
    tok = byte_tokenizer()
    tok.add_tokens([AddedToken(n, special=True, normalized=False) for n in names], special_tokens=True)
    return tok


CHANNELS = '<|channel|>', '<|message|>', '<|start|>', '<|end|>'
MARKS = {('<think>', '</think>'): ('<think>\nperhaps 7', '<think>\n3 * 4\n</think>\n\nAnswer: 12'),
         ('[THINK]', '[/THINK]'): ('[THINK]perhaps 7', '[THINK]3 * 4[/THINK]Answer: 12'),
         CHANNELS: ('<|channel|>analysis<|message|>perhaps 7',
                    '<|channel|>analysis<|message|>3 * 4<|channel|>final<|message|>Answer: 12')}


@pytest.mark.parametrize('specials', MARKS)
def test_think_marks_that_are_special_tokens_are_text(specials):
    "A thought that was truncated is no answer; one that ended is, and a teacher's trace keeps both apart."
    tok, (begun, ended) = with_specials(*specials), MARKS[specials]
    encode = lambda text: tok.encode(text, add_special_tokens=False)
    fault = lambda text, answer: fault_of(Sample(0, 0, text, 9, False), answer)
    prompt = encode('<|im_start|>assistant\n')
    own, whole = answer_text(tok, prompt, encode(begun)), answer_text(tok, prompt, encode(ended))
    assert own == begun and extract_answer(own) is None and fault(own, '7') == 'thinking not ended'
    assert whole == ended and is_correct('12', whole) and fault(whole, '12') is None
    # other control tokens are no text, with marks or without
    assert answer_text(tok, prompt, [tok.eos_token_id, *encode(ended), tok.eos_token_id]) == ended
    assert answer_text(tok, prompt, [*encode('Answer: 12'), tok.eos_token_id]) == 'Answer: 12'


@pytest.mark.parametrize('mark', ['<think>', '[THINK]', '<|START_THINKING|>'])
def test_a_thought_that_the_template_begins_belongs_to_the_answer(mark):
    tok = with_specials(mark)
    encode = lambda text: tok.encode(text, add_special_tokens=False)
    for text in (f'<|im_start|>assistant\n{mark}\n', f'<|im_start|>assistant\n{mark}'):
        assert answer_text(tok, encode(text), encode('perhaps 7')) == f'{mark}\nperhaps 7'
    asked = encode(f'say {mark}<|im_end|>\n<|im_start|>assistant\n')
    assert answer_text(tok, asked, encode('7')) == '7'


def test_the_template_s_end_of_turn_ends_an_answer():
    "Gemma's style (eos is another token), Llama 3's (<|eot_id|>), and a base model with ChatML (<|endoftext|>)."
    model = tiny_qwen3(300)
    for eos, end in (('<eos>', '<|im_end|>'), ('<|end_of_text|>', '<|eot_id|>'), ('<|endoftext|>', '<|im_end|>')):
        tok = with_specials(eos, end)
        tok.eos_token, tok.chat_template = eos, tok.chat_template.replace('<|im_end|>', end)
        assert {tok.convert_tokens_to_ids(eos), tok.convert_tokens_to_ids(end)} <= stop_tokens(model, tok)
    plain = byte_tokenizer()
    assert stop_tokens(model, plain) == {plain.eos_token_id, model.generation_config.eos_token_id} - {None}


def test_an_answer_stops_at_the_end_of_turn():
    tok = with_specials('<eos>')
    tok.eos_token = '<eos>'
    model, end = tiny_qwen3(len(tok), seed=3), tok.convert_tokens_to_ids('<|im_end|>')
    model.generation_config.eos_token_id = None
    with torch.no_grad():
        hidden = model(torch.tensor([render_prompt('2 + 2', tok)]), output_hidden_states=True).hidden_states[-1]
        model.lm_head.weight[end] = 100*hidden[0, -1]
    s = generate(model, tok, ['2 + 2'], max_new_tokens=5)[0][0]
    assert s.n_tokens == 1 and s.text == '' and not s.truncated


def test_every_position_has_noise_of_its_own():
    keys = [tuple(step_keys([5, 6], step)) for step in range(50)]
    assert len({k for pair in keys for k in pair}) == 100


@pytest.mark.parametrize('temperature', [.5, 2.])
def test_draws_follow_temperature(temperature):
    draws, logits = 20000, torch.tensor([[2., 1., 0., -1.]])
    keys = torch.tensor(step_keys(range(draws), 0), dtype=torch.int32)
    found = choose(logits.expand(draws, -1), keys, temperature).bincount(minlength=4)/draws
    p = (logits[0]/temperature).softmax(-1)
    assert ((found - p).abs()/(p*(1 - p)/draws).sqrt()).max() < 4


def test_a_file_is_of_one_seed_and_one_prompt(tmp_path):
    tok, file = byte_tokenizer(), tmp_path/'s.jsonl'
    model = tiny_qwen3(len(tok))
    def ask(question='2 + 2', seed=0):
        how = dict(temperature=1., seed=seed, max_new_tokens=4)
        return sample_problems(model, tok, {'a': question}, file, 'h', **how)
    first = ask()
    with pytest.raises(MotError, match='other settings'): ask(seed=1)
    with pytest.raises(MotError, match='prompt of a problem has changed'): ask('2 + 3')
    assert ask() == first
