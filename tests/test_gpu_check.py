"The prepared check of a GPU, at tiny size: every step passes, a killed check resumes, a failing step stops no other."
import json, os, signal, subprocess, sys, time

import pytest
import torch

import gpu_check
from mot_nb.core.records import read_recorded

SCRIPT = [sys.executable, gpu_check.__file__]


def started(work, *words):
    words = [*SCRIPT, str(work), '--tiny', '--commit', 'abc', *words]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True,
                            env={**os.environ, 'OMP_NUM_THREADS': '1'})


def test_a_killed_check_goes_on_and_every_step_passes(tmp_path):
    check = started(tmp_path)
    while not (tmp_path/'full.json').exists():
        assert check.poll() is None, check.stdout.read()
        time.sleep(.05)
    check.send_signal(signal.SIGKILL)
    check.wait()
    before = {p.name for p in tmp_path.glob('*.json')}
    again = started(tmp_path)
    out = again.communicate()[0]
    assert again.returncode == 0, out
    lines = dict(l.split(maxsplit=3)[2:] for l in out.splitlines() if not l.startswith('    '))
    assert list(lines) == list(gpu_check.STEPS)
    known = {'trl': 'TRL is not installed', 'vllm': 'vLLM is not installed'}
    for name, text in lines.items(): assert text.startswith('done: ') or text == f'left out: {known.get(name)}'
    was = [n for n, text in lines.items() if text.endswith('(done before)')]
    assert set(was) <= {n.removesuffix('.json') for n in before} and {'equal', 'full'} <= set(was)
    head, rows = read_recorded(tmp_path/'gpu.jsonl', 'gpu check')
    assert [r['step'] for r in rows] == list(gpu_check.STEPS) and head['commit'] == 'abc' and head['environment']['cpu']
    assert 'gpu_check.py WORK --tiny' in head['command'] and str(tmp_path) not in json.dumps(head)
    by = {r['step']: r for r in rows}
    assert by['equal']['apart']['merge'] == 0 and by['full']['tokens_per_second'] > 0
    assert set(by['plan']['ratios']) >= {'full, plan', 'lora, plan'}


def raises(size, device, work): raise ValueError('no such thing')
def dies(size, device, work): os.kill(os.getpid(), signal.SIGKILL)
def sleeps(size, device, work): time.sleep(60)
def passes(size, device, work): return {'says': 'all is well'}


def test_a_failing_step_is_recorded_and_stops_no_other(tmp_path, monkeypatch, capsys):
    steps = {'raises': (raises, 5), 'dies': (dies, 5), 'sleeps': (sleeps, .03), 'passes': (passes, 5)}
    monkeypatch.setattr(gpu_check, 'STEPS', steps)
    words = [str(tmp_path), '--tiny', '--commit', '']
    assert gpu_check.main(words) == 1
    rows = read_recorded(tmp_path/'gpu.jsonl', 'gpu check')[1]
    assert {r['step']: r['status'] for r in rows} == {'raises': 'failed', 'dies': 'failed', 'sleeps': 'out of time',
                                                      'passes': 'done'}
    assert 'no such thing' in rows[0]['says'] and 'exit code -9' in rows[1]['says']
    capsys.readouterr()
    monkeypatch.setitem(steps, 'raises', (passes, 5))        # mended: it is tried again, and what is done is not
    gpu_check.main([*words, '--only', 'raises,passes'])
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith('done: all is well') and said[1].endswith('all is well (done before)')


def test_the_process_that_forks_leaves_the_gpu_alone(tmp_path, monkeypatch):
    "A process that has touched a GPU cannot be forked: environment and device are asked for in the steps."
    def in_a_child(*args, me=os.getpid()):
        assert os.getpid() != me
        return {'cpu': 'asked in a step'}
    def nowhere(*args): raise AssertionError('the step that forks runs asked for a device')
    monkeypatch.setattr(gpu_check, 'environment', in_a_child)
    monkeypatch.setattr(gpu_check, 'compute_device', nowhere)
    monkeypatch.setattr(gpu_check, 'STEPS', {'kill': (passes, 5), 'other': (passes, 5)})
    gpu_check.main([str(tmp_path), '--tiny', '--commit', ''])
    head, rows = read_recorded(tmp_path/'gpu.jsonl')
    assert head['environment'] == {'cpu': 'asked in a step'} and [r['status'] for r in rows] == ['done', 'failed']


def test_fewer_layers_where_all_have_no_room(capsys):
    def train(shape):
        if shape.layers > 24: raise torch.OutOfMemoryError('CUDA out of memory. Tried')
        return 'trained'
    shape, cpu = gpu_check.REAL.shape, torch.device('cpu')
    assert gpu_check.most_layers(shape, (36, *gpu_check.REAL.fewer), cpu, train) == (24, 'trained')
    assert capsys.readouterr().out.count('no room') == 3
    with pytest.raises(MemoryError, match='out of memory'): gpu_check.most_layers(shape, (36, 32), cpu, train)


def test_a_step_is_not_begun_without_time(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, 'STEPS', {'passes': (passes, 1000)})
    assert gpu_check.main([str(tmp_path), '--tiny', '--minutes', '1', '--commit', '']) == 1
    assert not (tmp_path/'passes.json').exists()


@pytest.mark.parametrize('words', [['--only', 'fill'], *([] if torch.cuda.is_available() else [[]])])
def test_what_cannot_be_checked_is_refused(tmp_path, words):
    with pytest.raises(SystemExit): gpu_check.main([str(tmp_path), *words])


def test_equality_sees_a_device_that_computes_something_else(tmp_path, monkeypatch):
    from mot_nb.student import loss
    own, calls = loss.row_losses, []
    def other(*args):
        calls.append(1)
        return [(s + (len(calls) > 1), n) for s, n in own(*args)]
    monkeypatch.setattr(loss, 'row_losses', other)
    with pytest.raises(AssertionError, match='differ in losses:'):
        gpu_check.check_equal(gpu_check.TINY, torch.device('cpu'), tmp_path)


def test_the_plan_is_held_to_ten_percent(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, 'REAL', gpu_check.TINY)
    monkeypatch.setattr(gpu_check, 'rehearsed', lambda *a: None)
    row = dict(status='done', device='cuda:0', layers=2, lengths=[32] * 4, prompt=8, micro_tokens=64, compute='float32',
               lora_rank=0, peak=1.)
    look = lambda: gpu_check.check_plan(gpu_check.TINY, None, tmp_path)
    (tmp_path/'full.json').write_text(json.dumps(row))
    with pytest.raises(AssertionError, match='10 %') as e: look()
    predicted = float(str(e.value).split("'plan': ")[1].split(',')[0])
    for factor, fits in ((1.05, True), (.95, True), (1.15, False), (.85, False)):
        (tmp_path/'full.json').write_text(json.dumps({**row, 'peak': predicted / factor}))
        if fits: assert look()['ratios']['full, plan'] == pytest.approx(factor)
        else:
            with pytest.raises(AssertionError): look()
