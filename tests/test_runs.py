"Runs that are killed, that run out of disk, and that are asked for what cannot be."
import contextlib, json, os, resource, signal, subprocess, sys, threading, time
from pathlib import Path

import pytest

from mot_nb.data.corpora import filter_correct, read_corpus
from mot_nb.data.problems import read_problems
from mot_nb.core.settings import load_settings
from mot_nb.methods.device import Shelf
from mot_nb.methods.manifest import only_process
from mot_nb.methods.runs import found_run, run
from mot_nb.core.errors import MotError
from mot_nb.core.files import data_folder
from mot_nb.student.students import load_student

SMALL = {'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 8,
                                                   'n_heldout': 4},
         'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'compute': 'float32'}, 'rounds': {'rounds': 1},
         'eval': {'max_new_tokens': 16, 'loss_rows': 4}}


@pytest.mark.parametrize('kills', [6, pytest.param(20, marks=pytest.mark.long)])
def test_kills(tmp_path, kills):
    "Killed at random moments and resumed: the hashes of the run that was left alone, which is the same twice."
    done = subprocess.run([sys.executable, Path(__file__).parent/'tools'/'kill_and_resume.py', tmp_path, str(kills),
                           str(kills)], capture_output=True, text=True,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'}, timeout=1200)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    print(result)
    assert result['kills'] >= kills and set(result['resumed']) == {result['whole']}
    assert len(set(result['stages'])) > (3 if kills == 20 else 1), 'the kills all fell on the same place'


@pytest.mark.parametrize('where', ['memory', 'disk'])
def test_branches_are_let_go_when_they_are_merged(tmp_path, monkeypatch, where):
    "Of three rounds of which the last alone is measured, never more than one round's branches wait."
    waiting, hold = [], Shelf.hold
    def counted(shelf, *args):
        hold(shelf, *args)
        waiting.append(len(shelf.memory) + len(list(shelf.folder.glob('*.safetensors'))))
    monkeypatch.setattr(Shelf, 'hold', counted)
    only = {'rounds': 3, 'methods': ['mot'], 'branches': where}
    run({**SMALL, 'rounds': only, 'eval': {**SMALL['eval'], 'every_round': False}}, tmp_path/'run', progress=False)
    assert waiting == [1, 2] * 3


def test_full_disk_loses_nothing(tmp_path):
    "No room for a weights file: one clear error; with room again the run goes on to the result of an undisturbed one."
    whole = run(SMALL, tmp_path/'whole', progress=False).hash
    pid = os.fork()
    if pid == 0: # the limit on file size stands for a full disk: the write fails in the kernel, as there
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        try: run(SMALL, tmp_path/'full', progress=False)
        except MotError as e:
            (tmp_path/'error').write_text(str(e))
            os._exit(3)
        except BaseException as e:
            (tmp_path/'error').write_text(repr(e))
            os._exit(4)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3, (tmp_path/'error').read_text()
    assert 'could not write' in (tmp_path/'error').read_text()
    assert 'cure: free some space' in (tmp_path/'error').read_text()
    assert (tmp_path/'full/seed-0/ledger.jsonl').exists()
    assert run(SMALL, tmp_path/'full', progress=False).hash == whole


def test_every_profile_can_be_read():
    for file in sorted(data_folder().glob('profiles/*/*.yaml')): assert load_settings(file).seeds


def test_a_refused_start_leaves_the_folder_free(tmp_path):
    "Settings that were refused before anything ran do not claim the folder."
    with pytest.raises(MotError): run(load_settings(SMALL, ['rounds.weights=0.5,0.6']), tmp_path/'r', progress=False)
    run(load_settings(SMALL, ['rounds.methods=mot']), tmp_path/'r', progress=False)


def test_a_student_with_a_missing_tensor_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file
    from mot_nb.student.models import save_student
    model, tokenizer = load_student('qwen3-tiny')
    save_student(tmp_path/'s', model, tokenizer)
    state = load_file(tmp_path/'s/model.safetensors')
    state.pop('model.layers.1.mlp.up_proj.weight')
    save_file(state, tmp_path/'s/model.safetensors', metadata={'format': 'pt'})
    refused('not whole', lambda: load_student(str(tmp_path/'s')))


def test_weights_follow_the_order_of_the_settings(tmp_path):
    "verbose is named first and gets all the weight, although the pool lists plain before it."
    s = load_settings(SMALL, ['data.teachers=verbose,plain', 'rounds.weights=1,0', 'rounds.methods=std,mot'])
    rows = run(s, tmp_path/'r', progress=False).rows
    hashes = {r['student']: r['hash'] for r in rows}
    assert hashes['mot-r1'] == hashes['std-verbose-r1'] != hashes['std-plain-r1']


@pytest.mark.parametrize('methods', ['mot', 'std,mot'])
def test_a_damaged_student_is_made_again(tmp_path, methods):
    "A merged student whose file was torn is not read: its round is run again, with the same result."
    long = load_settings(SMALL, ['rounds.rounds=2', f'rounds.methods={methods}', 'rounds.keep=merged'])
    whole = run(long, tmp_path/'whole', progress=False).hash
    out = tmp_path/'torn'
    run(long, out, progress=False)
    ledger = out/'seed-0/ledger.jsonl'
    lines = ledger.read_text().splitlines(keepends=True)
    first = next(i for i, l in enumerate(lines) if 'measure mot-r1' in l)
    ledger.write_text(''.join(lines[:first + 1]))                   # as if killed after round 1
    (out/'seed-0/metrics.jsonl').unlink()
    weights = out/'seed-0/students/mot-r1/model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-100])
    assert run(long, out, progress=False).hash == whole


def refused(what, f):
    with pytest.raises(MotError) as e: f()
    text = str(e.value)
    assert what in text and 'cure:' in text, text
    return text


def trace(i, **kw):
    return json.dumps({'problem_id': f'p{i}', 'teacher': 'a', 'prompt': 'What is 1 + 1?',
                       'completion': 'It is 2.\nAnswer: 2', 'reference': '2', **kw})


def test_unreadable_lines_are_all_listed(tmp_path):
    file = tmp_path/'a.jsonl'
    file.write_text('\n'.join([trace(1), '{"problem_id": ', trace(2), 'nonsense', '[]']) + '\n')
    text = refused('', lambda: read_corpus(file))
    assert all(f'line {n}' in text for n in (2, 4, 5)) and 'line 1,' not in text and 'line 3' not in text, text


def test_missing_field(tmp_path):
    file = tmp_path/'a.jsonl'
    file.write_text(trace(1) + '\n' + json.dumps({'problem_id': 'p2', 'teacher': 'a', 'prompt': 'q'}) + '\n')
    assert 'line 2' in refused('completion', lambda: read_corpus(file))
    problems = tmp_path/'p.jsonl'
    problems.write_text(json.dumps({'id': '1', 'question': 'q', 'source': 's'}) + '\n')
    assert 'line 1' in refused('answer', lambda: read_problems(problems))


def test_trace_without_answer(tmp_path):
    file = tmp_path/'a.jsonl'
    file.write_text(trace(1) + '\n' + trace(2, completion='I do not know.') + '\n')
    assert 'line 2' in refused('answer', lambda: read_corpus(file))


def test_teacher_left_with_no_trace(tmp_path):
    file = tmp_path/'a.jsonl'
    file.write_text(trace(1, completion='Answer: 3') + '\n')
    assert 'a' in refused('no trace', lambda: filter_correct(read_corpus(file)))


def test_student_with_another_vocabulary(tmp_path):
    refused('vocabulary', lambda: run(load_settings(SMALL, ['data.pool=words', 'data.teachers=worked']), tmp_path/'r',
                                      progress=False))


def test_weights_that_do_not_sum_to_one(tmp_path):
    assert 'sum 1.1' in refused('do not sum to 1', lambda: run(load_settings(SMALL, ['rounds.weights=0.5,0.6']),
                                                               tmp_path/'r', progress=False))


def test_unknown_setting():
    assert "did you mean 'train.lr'" in refused('unknown setting', lambda: load_settings(overrides=['train.lrr=1']))


def test_missing_model(tmp_path):
    refused('could not be loaded', lambda: load_student('nobody/no-such-model'))
    assert "did you mean 'smollm2-135m'" in refused('unknown student', lambda: load_student('smollm-135m'))
    refused('holds no student', lambda: load_student(str(tmp_path)))


def test_another_run_in_the_folder(tmp_path):
    run(SMALL, tmp_path/'r', progress=False)
    assert 'train.lr: there 0.001' in refused('other settings', lambda: run(load_settings(SMALL, ['train.lr=1e-4']),
                                                                            tmp_path/'r', progress=False))


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    "A run clears its own folder; it does not begin in one that holds anything else, whatever the names."
    mine = [tmp_path/'work'/'thesis.txt', tmp_path/'.env.old', tmp_path/'src'/'.cache.part', tmp_path/'settings.yaml',
            tmp_path/'manifest.json']
    for f in mine:
        f.parent.mkdir(exist_ok=True)
        f.write_text('{"name": "mine"}')
    refused('something else than a run', lambda: run(SMALL, tmp_path, progress=False))
    assert all(f.read_text() == '{"name": "mine"}' for f in mine)


def test_a_long_trace_is_found_before_training(tmp_path):
    said = refused('longer than what is computed at once', lambda: run({**SMALL,
                                                                        'train': {**SMALL['train'],
                                                                                  'micro_tokens': 30}}, tmp_path/'run',
                                                                       progress=False))
    assert 'verbose' in said and 'train.micro_tokens=' in said and not list(tmp_path.rglob('ledger.jsonl'))


def test_a_damaged_optimiser_state_is_made_again(tmp_path):
    """Moments that a round goes on with, torn after a kill: the branch that left them is trained again, with the same
    result."""
    settings = load_settings({**SMALL, 'train': {**SMALL['train'], 'optimiser_state': 'kept'},
                              'rounds': {'rounds': 2, 'methods': ['mot'], 'branches': 'disk'}})
    whole = run(settings, tmp_path/'whole', progress=False).hash
    from mot_nb.methods import maker
    train_paths = maker.train_paths
    def until_round_2(m, paths):
        if paths[0].start.step: raise KeyboardInterrupt
        return train_paths(m, paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker, 'train_paths', until_round_2)
        with pytest.raises(KeyboardInterrupt): run(settings, tmp_path/'run', progress=False)
    states = sorted(tmp_path.glob('run/seed-0/work/*-moments/optimiser.safetensors'))
    assert len(states) == 2
    states[0].write_bytes(states[0].read_bytes()[:100])
    assert run(settings, tmp_path/'run', progress=False).hash == whole


def test_what_waits_on_disk_changes_no_number(tmp_path, monkeypatch):
    """The same result, whether branches and what they start from wait in memory or on disk; there a start is read a
    tensor at a time while its branches are trained, and no file of it is left in the folder meanwhile."""
    from mot_nb.methods import maker
    from mot_nb.student.weight_files import MappedFile
    found, branch = [], maker._begin
    def begin(m, path, stops, start, *rest):
        files = [p.name for p in m.lab.folder.glob('work/*') if 'offloaded' in p.name]
        found.append((m.lab.settings.rounds.branches, path.start is m.lab.base, type(start) is MappedFile, files))
        return branch(m, path, stops, start, *rest)
    monkeypatch.setattr(maker, '_begin', begin)
    of = {}
    for where in ('memory', 'disk'):
        s = load_settings({**SMALL, 'rounds': {'rounds': 2, 'methods': ['mot', 'oneshot'], 'branches': where}})
        of[where] = run(s, tmp_path/where, progress=False).hash
    assert of['memory'] == of['disk']
    assert {f[:3] for f in found} == {(w, base, w == 'disk') for w in of for base in (True, False)}
    assert not any(files for *_, files in found)


def test_a_mixture_of_experts_is_read_back(tmp_path):
    """Its experts lie apart in the file and together in the model: round 1 is read back after a kill, not made again,
    and the one-shot merge finds its students."""
    import shutil
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
    from mot_nb.core.files import read_lines
    from mot_nb.student.models import byte_tokenizer, save_student
    tokenizer = byte_tokenizer()
    config = Qwen3MoeConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, moe_intermediate_size=16,
                            num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
                            num_experts=4, num_experts_per_tok=2, decoder_sparse_step=1, eos_token_id=2, pad_token_id=0,
                            bos_token_id=None)
    save_student(tmp_path/'moe', Qwen3MoeForCausalLM(config).float().eval(), tokenizer)
    s = load_settings(SMALL, [f'student.name={tmp_path/"moe"}', 'data.pool=words', 'data.teachers=worked,narrative',
                              'data.n_heldout=0', 'rounds.rounds=2', 'rounds.keep=merged'])
    whole = run(s, tmp_path/'whole', progress=False)
    out = tmp_path/'again'
    shutil.copytree(tmp_path/'whole', out)
    lines = (out/'seed-0/ledger.jsonl').read_text().splitlines(keepends=True)
    first = next(i for i, l in enumerate(lines) if 'measure mot-r1' in l)
    (out/'seed-0/ledger.jsonl').write_text(''.join(lines[:first + 1]))
    (out/'seed-0/metrics.jsonl').unlink()
    shutil.rmtree(out/'seed-0/students/mot-r2')
    before = (out/'seed-0/students/mot-r1').stat().st_ino
    assert run(s, out, progress=False).hash == whole.hash and (out/'seed-0/students/mot-r1').stat().st_ino == before
    assert any('experts.0.' in n for n in _names(out/'seed-0/students/mot-r1'))
    assert 'oneshot' in {r['student'] for r in read_lines(out/'seed-0/metrics.jsonl')}


def test_experts_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    "The stacked experts of a folder, expert by expert, are what transformers stacks; no whole student is loaded."
    import torch
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
    from mot_nb.methods import device
    from mot_nb.student.models import byte_tokenizer, save_student
    from mot_nb.student.students import load_student
    from mot_nb.student.weights import student_state
    tokenizer = byte_tokenizer()
    config = Qwen3MoeConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, moe_intermediate_size=16,
                            num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
                            num_experts=12, num_experts_per_tok=2, decoder_sparse_step=1, mlp_only_layers=[0],
                            eos_token_id=2, pad_token_id=0, bos_token_id=None)
    folder = save_student(tmp_path/'moe', Qwen3MoeForCausalLM(config).float().eval(), tokenizer)
    whole = student_state(load_student(str(folder))[0])
    monkeypatch.setattr(device, 'load_student', lambda *how: pytest.fail('the whole student was loaded'))
    stored = device.stored_weights(folder, list(whole))
    assert set(stored) == set(whole) and all(torch.equal(stored[n], t) for n, t in whole.items())
    for n in ('model.layers.1.mlp.experts.gate_up_proj', 'model.layers.2.mlp.experts.down_proj', 'lm_head.weight'):
        assert torch.equal(stored.rows(n, 3, 7), whole[n][3:7]) and stored.rows(n, 5, 5).shape == whole[n][5:5].shape


def _names(folder):
    from safetensors import safe_open
    with safe_open(str(folder/'model.safetensors'), 'pt') as f: return list(f.keys())


def test_a_finished_run_on_a_read_only_disk_is_read(tmp_path, monkeypatch):
    "The lock of a folder that cannot be written is not asked for: the run is only read."
    whole = run(SMALL, tmp_path/'r', progress=False).hash
    (tmp_path/'r/.lock').unlink()
    import builtins
    opened = builtins.open
    def read_only(file, mode='r', *a, **kw):
        if str(file).startswith(str(tmp_path)) and set(mode) & set('wax+'): raise OSError(30, 'Read-only file system')
        return opened(file, mode, *a, **kw)
    monkeypatch.setattr(builtins, 'open', read_only)
    assert run(SMALL, tmp_path/'r', progress=False).hash == whole


def test_a_refused_folder_gets_no_lock(tmp_path):
    (tmp_path/'mine.txt').write_text('mine')
    refused('something else than a run', lambda: run(SMALL, tmp_path, progress=False))
    assert [p.name for p in tmp_path.iterdir()] == ['mine.txt']


def test_what_makes_another_experiment():
    "Decoding, branch weights and training do; more samples, rounds and methods are added to the same."
    from mot_nb.core.experiment import identity
    of = lambda *changes: identity(load_settings(SMALL, list(changes)))
    others = ['eval.temperature=.5', 'eval.max_new_tokens=17', 'rounds.weights=.25,.75', 'train.lr=.01',
              'data.n_train=9', 'student.seed=1']
    assert len({of(), *map(of, others)}) == len(others) + 1
    same = 'eval.k=1', 'rounds.rounds=3', 'rounds.methods=mot', 'seeds=0,1', 'name=other', 'rounds.keep=all'
    assert {of(c) for c in same} == {of()}


def test_a_changed_base_student_is_refused(tmp_path):
    "A student of a folder of one's own, trained on between two calls: said even where the run is finished."
    from safetensors.torch import load_file, save_file
    from mot_nb.student.models import save_student
    model, tokenizer = load_student('toy-tiny')
    save_student(tmp_path/'s', model, tokenizer)
    settings = load_settings(SMALL, [f'student.name={tmp_path/"s"}', 'rounds.methods=mot', 'data.n_heldout=0'])
    run(settings, tmp_path/'r', progress=False)
    run(settings, tmp_path/'r', progress=False)
    file = tmp_path/'s'/'model.safetensors'
    state = load_file(file)
    state['model.norm.weight'] += 1
    save_file(state, file, metadata={'format': 'pt'})
    refused('base student have changed', lambda: run(settings, tmp_path/'r', progress=False))


def test_a_run_that_another_process_makes_is_waited_for(tmp_path, monkeypatch):
    "Two pages that read one run: the second says once that it waits for the first, and goes on when that has ended."
    lock, said = contextlib.ExitStack(), []
    lock.enter_context(only_process(tmp_path))
    monkeypatch.setattr('builtins.print', lambda text, **how: said.append(text))
    def ends():
        while not said: time.sleep(.1)
        time.sleep(1)
        lock.close()
    threading.Thread(target=ends, daemon=True).start()
    assert found_run(load_settings(SMALL), tmp_path, progress=False).rows
    assert sum('waiting for it' in str(text) for text in said) == 1
