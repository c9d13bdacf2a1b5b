"Answers: which students and settings are refused before anything is written, and what a head with spare rows says."
import json

import pytest
import torch
import transformers as tf
from tokenizers import AddedToken

from mot_nb.app.cli import main
from mot_nb.answers.sampling import Sample, answer_text, check_sampling, generate, padded_ids, read_samples, sample_problems, stop_tokens
from mot_nb.answers.server import server_models
from mot_nb.answers.traces import fault_of
from mot_nb.core.errors import MotError
from mot_nb.core.files import read_lines
from mot_nb.data.chat import render_prompt
from mot_nb.data.problems import extract_answer, is_correct
from mot_nb.student.models import byte_tokenizer, save_student, tiny_qwen3

SMALL = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4)
MAMBA = dict(mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8)
MIXED = ['conv', 'full_attention']


def small(name, tok, **more):
    "A tiny student of a family of transformers."
    config = getattr(tf, f'{name}Config')(vocab_size=len(tok), eos_token_id=tok.eos_token_id, pad_token_id=0, bos_token_id=None, **{**SMALL, **more})
    return getattr(tf, f'{name}ForCausalLM')(config).eval()


@pytest.mark.parametrize('name, more', [('Lfm2', dict(layer_types=MIXED)), ('FalconH1', MAMBA | dict(mamba_d_ssm=64)), ('RecurrentGemma', dict(lru_width=32, head_dim=8)), ('Mamba', {}),
                                        ('GraniteMoeHybrid', MAMBA | dict(layer_types=['mamba', 'attention'], num_local_experts=0, shared_intermediate_size=64))])
def test_recurrent_students_are_refused_by_name(name, more, tmp_path):
    tok = byte_tokenizer()
    with pytest.raises(MotError, match='layers that keep a state') as e: generate(small(name, tok, **more), tok, ['2 + 2', 'What is 3 + 4?'], max_new_tokens=2)
    assert name in str(e.value) and 'cure' in str(e.value)
    with pytest.raises(MotError, match=name): sample_problems(small(name, tok, **more), tok, {'a': '2 + 2'}, tmp_path/'s.jsonl', 'h', max_new_tokens=2)
    assert not (tmp_path/'s.jsonl').exists()


def test_a_hybrid_folder_is_refused_by_the_command_line(tmp_path, capsys):
    tok = byte_tokenizer()
    folder = save_student(tmp_path/'hybrid', small('Lfm2', tok, layer_types=MIXED), tok)
    for command in (['eval', str(folder), '--pool', 'toy', '--n', '2', '--out', str(tmp_path/'a.jsonl')], ['traces', str(folder), '--pool', 'toy', '--n', '2', '--k', '1', '--out', str(tmp_path/'t')]):
        assert main([*command, '--quiet', 'eval.max_new_tokens=4']) == 1 and 'Lfm2ForCausalLM' in capsys.readouterr().err
    assert not (tmp_path/'a.jsonl').exists() and not (tmp_path/'t'/'problems_train.jsonl').exists()


def test_attention_students_with_windows_are_answered():
    tok = byte_tokenizer()
    for model in (small('Llama', tok), small('Mistral', tok, sliding_window=16), small('GPTNeoX', tok)):
        assert len(generate(model, tok, ['2 + 2', 'What is 3 + 4?'], max_new_tokens=3)) == 2


def test_rows_without_a_token_are_never_said():
    "A padded vocabulary: its ids used to be chosen, read as '' and counted as text."
    tok = byte_tokenizer()
    assert padded_ids(tok, len(tok)) == [] and padded_ids(tok, len(tok) + 2) == [len(tok), len(tok) + 1]
    model = tiny_qwen3(len(tok) + 61, seed=3)
    with torch.no_grad(): model.lm_head.weight[len(tok):].mul_(1000)             # huge logits of both signs
    for how in (dict(), dict(k=4, temperature=1.), dict(k=4, temperature=1., top_p=.9), dict(k=4, temperature=1., top_k=5)):
        said = [s for of in generate(model, tok, ['2 + 2', 'What is 3 + 4?'], max_new_tokens=12, **how) for s in of]
        assert all(s.text for s in said if s.n_tokens > 1), said
    assert answer_text(tok, [], [len(tok), *tok.encode('7', add_special_tokens=False), len(tok) + 60]) == '\ufffd7\ufffd'


@pytest.mark.parametrize('wrong', [dict(k=0), dict(k=2.0), dict(temperature='hot'), dict(temperature=float('nan')), dict(top_p=None), dict(top_k=-1), dict(max_new_tokens=1.5), dict(batch=0)])
def test_settings_out_of_range(wrong):
    with pytest.raises(MotError, match='out of range'): check_sampling(**{**dict(k=1, temperature=0., top_p=1., top_k=0, max_new_tokens=8, batch=4), **wrong})


def test_a_refusal_leaves_nothing_and_the_corrected_call_works(tmp_path):
    tok = byte_tokenizer()
    model, file, asked = tiny_qwen3(len(tok), seed=1), tmp_path/'s.jsonl', {'a': '2 + 2', 'b': '3 + 4'}
    for wrong in (dict(max_new_tokens=10**6), dict(max_new_tokens=4, k=3)):
        with pytest.raises(MotError): sample_problems(model, tok, asked, file, 'h', **wrong)
        assert not file.exists()
    whole = sample_problems(model, tok, asked, file, 'h', max_new_tokens=4)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0])                                   # killed after the first line: it binds nobody
    assert sample_problems(model, tok, asked, file, 'h', max_new_tokens=5)['a'][0].n_tokens == 5
    file.write_bytes(b''.join(lines[:2]))
    assert sample_problems(model, tok, asked, file, 'h', max_new_tokens=4) == whole and sorted(file.read_bytes().splitlines(keepends=True)) == sorted(lines)
    with pytest.raises(MotError, match='other settings'): sample_problems(model, tok, asked, file, 'h', max_new_tokens=5)


@pytest.mark.parametrize('text', ['my own notes', '# notes\n', '[]\n', '{"kind": "run"}\n', '{"kind": "samples", "hash": "x"}\n[1]\n', '{"kind": "samples", "hash": "x"}\n{"problem_id": "a", "sample": 0}\n',
                                  '{"kind": "samples", "hash": "x"}\n{"problem_id": "a", "sample": [], "text": 7, "n_tokens": 1, "truncated": false, "prompt": "x"}\n'])
def test_files_of_another_kind_are_refused_and_kept(text, tmp_path):
    tok = byte_tokenizer()
    file = tmp_path/'notes.md'
    file.write_text(text)
    with pytest.raises(MotError): sample_problems(tiny_qwen3(len(tok)), tok, {'a': '2 + 2'}, file, 'h', max_new_tokens=2)
    assert file.read_text() == text


def test_places_that_cannot_be_written(tmp_path, capsys):
    tok = byte_tokenizer()
    (tmp_path/'file').write_text('')
    for place in (tmp_path, tmp_path/'file'/'s.jsonl', '/proc/none/s.jsonl'):
        with pytest.raises(MotError, match='could not write'): sample_problems(tiny_qwen3(len(tok)), tok, {'a': '2 + 2'}, place, 'h', max_new_tokens=2)
    assert main(['traces', 'qwen3-tiny', '--pool', 'toy', '--n', '2', '--out', '/proc/none', '--quiet']) == 1
    assert main(['eval', 'qwen3-tiny', '--pool', 'toy', '--n', '2', '--out', '.', '--quiet']) == 1
    assert 'Traceback' not in capsys.readouterr().err


@pytest.mark.parametrize('url', ['localhost:8000', 'nonsense', '', 'http://', 'file:///etc/hostname', 'http://127.0.0.1:1'])
def test_addresses_without_a_server(url):
    with pytest.raises(MotError, match='no server answers here'): server_models(url, timeout=2)


def test_lines_of_a_sample_file_hold_samples(tmp_path):
    tok = byte_tokenizer()
    sample_problems(tiny_qwen3(len(tok)), tok, {'a': '2 + 2'}, tmp_path/'s.jsonl', 'h', max_new_tokens=2)
    head, found, asked = read_samples(tmp_path/'s.jsonl')
    assert head['kind'] == 'samples' and found['a'][0].n_tokens == 2 and list(asked) == ['a'] and read_lines(tmp_path/'s.jsonl')[1] == json.loads((tmp_path/'s.jsonl').read_text().splitlines()[1])


def with_specials(*names):
    "The byte tokenizer with more special tokens."
    tok = byte_tokenizer()
    tok.add_tokens([AddedToken(n, special=True, normalized=False) for n in names], special_tokens=True)
    return tok


@pytest.mark.parametrize('specials, begun, ended', [
    (('<think>', '</think>'), '<think>\nperhaps 7', '<think>\n3 * 4\n</think>\n\nAnswer: 12'),
    (('[THINK]', '[/THINK]'), '[THINK]perhaps 7', '[THINK]3 * 4[/THINK]Answer: 12'),
    (('<|channel|>', '<|message|>', '<|start|>', '<|end|>'), '<|channel|>analysis<|message|>perhaps 7',
     '<|channel|>analysis<|message|>3 * 4<|end|><|start|>assistant<|channel|>final<|message|>Answer: 12')])
def test_think_marks_that_are_special_tokens_are_text(specials, begun, ended):
    "A thought that was truncated is no answer; one that ended is, and a teacher's trace keeps both apart."
    tok = with_specials(*specials)
    encode = lambda text: tok.encode(text, add_special_tokens=False)
    prompt = encode('<|im_start|>assistant\n')
    own, whole = answer_text(tok, prompt, encode(begun)), answer_text(tok, prompt, encode(ended))
    assert own == begun and extract_answer(own) is None and whole == ended and is_correct('12', whole)
    assert fault_of(Sample(0, 0, own, 9, False), '7') == 'thinking not ended' and fault_of(Sample(0, 0, whole, 9, False), '12') is None
    # other control tokens are no text, with marks or without
    assert answer_text(tok, prompt, [tok.eos_token_id, *encode(ended), tok.bos_token_id or tok.eos_token_id]) == ended
    assert answer_text(tok, prompt, [*encode('Answer: 12'), tok.eos_token_id]) == 'Answer: 12'


@pytest.mark.parametrize('mark', ['<think>', '[THINK]', '<|START_THINKING|>'])
def test_a_thought_that_the_template_begins_belongs_to_the_answer(mark):
    tok = with_specials(mark)
    for text in (f'<|im_start|>assistant\n{mark}\n', f'<|im_start|>assistant\n{mark}'):
        prompt = tok.encode(text, add_special_tokens=False)
        assert answer_text(tok, prompt, tok.encode('perhaps 7', add_special_tokens=False)) == f'{mark}\nperhaps 7'
    assert answer_text(tok, tok.encode(f'say {mark}<|im_end|>\n<|im_start|>assistant\n', add_special_tokens=False), tok.encode('7')) == '7'


def test_the_template_s_end_of_turn_ends_an_answer():
    "Gemma's manner (eos is another token), Llama 3's (<|eot_id|>), and a base model with ChatML (<|endoftext|>)."
    model = tiny_qwen3(300)
    for eos, end in (('<eos>', '<|im_end|>'), ('<|end_of_text|>', '<|eot_id|>'), ('<|endoftext|>', '<|im_end|>')):
        tok = with_specials(eos, end)
        tok.eos_token, tok.chat_template = eos, tok.chat_template.replace('<|im_end|>', end)
        assert {tok.convert_tokens_to_ids(eos), tok.convert_tokens_to_ids(end)} <= stop_tokens(model, tok)
    plain = byte_tokenizer()
    assert stop_tokens(model, plain) == {plain.eos_token_id, model.generation_config.eos_token_id} - {None}


def test_an_answer_stops_at_the_end_of_turn(tmp_path):
    tok = with_specials('<eos>')
    tok.eos_token = '<eos>'
    model, end = tiny_qwen3(len(tok), seed=3), tok.convert_tokens_to_ids('<|im_end|>')
    model.generation_config.eos_token_id = None
    with torch.no_grad():
        x = torch.tensor([render_prompt('2 + 2', tok)])
        model.lm_head.weight[end] = 100*model(x, output_hidden_states=True).hidden_states[-1][0, -1]
    s = generate(model, tok, ['2 + 2'], max_new_tokens=5)[0][0]
    assert s.n_tokens == 1 and s.text == '' and not s.truncated
