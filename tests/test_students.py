"Students that cannot be saved, should not be loaded, or have files that are not what they should be."
import json, os, pty, subprocess, sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mot_nb.core.errors import MotError
from mot_nb.student.models import byte_tokenizer, check_writable, save_student, tiny_qwen3
from mot_nb.student.students import empty_student, load_student

tok = byte_tokenizer()


@pytest.fixture
def folder(tmp_path):
    "A whole student folder."
    return save_student(tmp_path/'student', tiny_qwen3(len(tok), hidden=32), tok)


def change(folder, file='config.json', **new):
    path = folder/file
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **new}))


# saving ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('given', [
    {'temperature': 0.9, 'top_p': 0.6},                     # sampling numbers, no do_sample
    {'top_k': 5, 'do_sample': False},
    {'early_stopping': True, 'length_penalty': 2.0},        # numbers of a beam search that is not made
    {'temperature': 0.7, 'num_beams': 1, 'early_stopping': True},
])
def test_a_generation_config_that_transformers_refuses_is_saved(folder, tmp_path, given):
    (folder/'generation_config.json').write_text(json.dumps({'eos_token_id': 2, 'pad_token_id': 0, **given}))
    model, tokenizer = load_student(folder)
    check_writable(model, tokenizer)
    before = model.generation_config.to_dict()
    out = save_student(tmp_path/'out', model, tokenizer)
    assert model.generation_config.to_dict() == before
    written = json.loads((out/'generation_config.json').read_text())
    assert {k: written[k] for k in given if k != 'do_sample'} == {k: v for k, v in given.items() if k != 'do_sample'}
    again, _ = load_student(out)
    assert again.generation_config.eos_token_id == 2
    assert all(torch.equal(t, model.state_dict()[n]) for n, t in again.state_dict().items())
    save_student(tmp_path/'twice', again, tokenizer)


def test_a_sound_generation_config_is_saved_as_it_is(folder, tmp_path):
    (folder/'generation_config.json').write_text(json.dumps({'eos_token_id': [2, 1], 'pad_token_id': 0,
                                                             'do_sample': True,
                                                             'temperature': 0.6}))
    out = save_student(tmp_path/'out', *load_student(folder))
    written = json.loads((out/'generation_config.json').read_text())
    assert written['eos_token_id'] == [2, 1] and written['do_sample'] is True and written['temperature'] == 0.6


def test_what_cannot_be_written_is_refused_before_training(tmp_path):
    model = tiny_qwen3(len(tok), hidden=32)
    check_writable(model, tok)
    hollow = tiny_qwen3(len(tok), hidden=32).to('meta')
    check_writable(hollow, tok)
    model.config.hidden_size = 48
    with pytest.raises(MotError, match='shapes'): check_writable(model, tok)
    class Odd(type(tok)):
        def save_pretrained(self, *a, **kw): raise KeyError('vocab')
    odd = byte_tokenizer()
    odd.__class__ = Odd
    with pytest.raises(MotError, match='cannot be saved'): check_writable(tiny_qwen3(len(tok), hidden=32), odd)


def test_a_check_writes_nothing_and_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tiny_qwen3(len(tok), hidden=32)
    before = {n: t.clone() for n, t in model.state_dict().items()}, model.config.to_dict()
    check_writable(model, tok)
    assert not list(tmp_path.iterdir())
    assert all(torch.equal(t, before[0][n]) for n, t in model.state_dict().items())
    assert {k: v for k, v in model.config.to_dict().items() if k not in ('architectures', 'dtype', 'torch_dtype')} == \
           {k: v for k, v in before[1].items() if k not in ('architectures', 'dtype', 'torch_dtype')}


# loading --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('load', [load_student, empty_student])
@pytest.mark.parametrize('quantised', [
    {'quant_method': 'bitsandbytes', 'load_in_4bit': True},
    {'quant_method': 'gptq', 'bits': 4},
    {'quant_method': 'fp8', 'weight_block_size': [128, 128]},
])
def test_quantised_students_are_refused(folder, load, quantised):
    change(folder, quantization_config=quantised)
    with pytest.raises(MotError, match='quantised'): load(folder)


@pytest.mark.parametrize('load', ['load_student', 'empty_student'])
def test_code_of_a_folder_is_never_run_and_nobody_is_asked(folder, tmp_path, load):
    "In a terminal of its own, where transformers would ask 'run the custom code? [y/N]' and wait."
    change(folder, model_type='mine', auto_map={'AutoConfig': 'mine.Config', 'AutoModelForCausalLM': 'mine.Model'})
    code = f'open({str(tmp_path/"ran")!r}, "w").write("x")\nclass Config: pass\nclass Model: pass\n'
    (folder/'mine.py').write_text(code)
    code = f'from mot_nb.student.students import {load}\nfrom mot_nb.core.errors import MotError\n' \
           f'try: {load}({str(folder)!r})\nexcept MotError as e: print("REFUSED", e)\n'
    master, terminal = pty.openpty()
    os.write(master, b'y\ny\ny\n')
    done = subprocess.run([sys.executable, '-c', code], stdin=terminal, capture_output=True, text=True, timeout=120)
    os.close(master)
    os.close(terminal)
    assert done.stdout.startswith('REFUSED') and '[y/N]' not in done.stdout + done.stderr, done.stdout + done.stderr
    assert 'never run' in done.stdout and not (tmp_path/'ran').exists()


class Nasty:
    def __reduce__(self): return (os.mkdir, (str(Path(os.environ['NASTY'])),))


@pytest.mark.parametrize('name', ['pytorch_model.bin', 'model.pt'])
def test_pickled_weights_are_refused(folder, tmp_path, monkeypatch, name):
    monkeypatch.setenv('NASTY', str(tmp_path/'ran'))
    import pickle
    (folder/'model.safetensors').unlink()
    (folder/name).write_bytes(pickle.dumps({'w': Nasty()}))
    with pytest.raises(MotError, match='pickled'): load_student(folder)
    assert not (tmp_path/'ran').exists()


def test_pickled_weights_beside_safetensors_are_not_read(folder):
    torch.save({n: torch.zeros_like(t) for n, t in load_file(folder/'model.safetensors').items()},
               folder/'pytorch_model.bin')
    model, _ = load_student(folder)
    assert any(p.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize('load', [load_student, empty_student])
def test_a_folder_without_its_tokenizer_is_refused(folder, load):
    for f in ('tokenizer.json', 'tokenizer_config.json'): (folder/f).unlink(missing_ok=True)
    with pytest.raises(MotError, match='tokenizer'): load(folder)


@pytest.mark.parametrize('new', [
    {'layer_types': ['full_attention']}, {'num_attention_heads': 0}, {'num_hidden_layers': 'two'}, {'hidden_size': -32},
    {'model_type': 'no such model'}, {'model_type': None}, {'vocab_size': None},
                                 {'rope_parameters': {'rope_type': 'none such'}},
])
def test_configurations_that_contradict_themselves(folder, new):
    change(folder, **new)
    with pytest.raises(MotError): load_student(folder)


@pytest.mark.parametrize('file', ['tokenizer.json', 'config.json', 'tokenizer_config.json', 'generation_config.json',
                                  'model.safetensors'])
@pytest.mark.parametrize('text', ['{}', '[]', '{"a": ', '[' * 3000 + ']' * 3000], ids=range(4))
def test_files_that_are_not_what_they_should_be(folder, file, text):
    (folder/file).write_text(text)
    try: load_student(folder)
    except MotError: return
    assert file in ('tokenizer_config.json', 'generation_config.json')     # transformers can do without them


@pytest.mark.parametrize('length', [2**62, 2**63 - 1, 10**9, 0])
def test_headers_that_lie_about_their_length(folder, length):
    whole = (folder/'model.safetensors').read_bytes()
    (folder/'model.safetensors').write_bytes(length.to_bytes(8, 'little') + whole[8:])
    with pytest.raises(MotError): load_student(folder)
