"""The rehearsal: the same bytes as real tensors at small size, a line through few layers, the plan within 10 %."""
import json, os, subprocess, sys
from dataclasses import asdict, replace

import pytest

from mot_nb.core.settings import TrainSettings
from mot_nb.scale.shapes import Shape

TINY = Shape('tiny', 4, 256, 4, 2, 64, 768, 4096)
SCRIPT = '''
import json, sys, warnings
warnings.simplefilter('ignore')
from mot_nb.scale.rehearsal import Case, rehearse_here
for line in sys.stdin: print('rehearsed', json.dumps(rehearse_here(Case.of(json.loads(line)))), flush=True)
'''


def case(ranks, groups, lora=0, device='gpu', shape=TINY):
    "A small case; rows long enough for the fused attention on a CPU, too."
    from mot_nb.scale.rehearsal import Case
    train = TrainSettings(micro_tokens=512, compute='bfloat16', checkpointing=True, lora_rank=lora)
    return Case(shape, ranks, groups, 4, train, device=device)


@pytest.fixture(scope='module')
def found():
    "name -> (case, what was rehearsed), all in one process."
    cases = {'serial': case(8, 1), 'parallel': case(8, 4), 'alone': case(1, 1), 'lora': case(1, 1, 8),
             'real': case(1, 1, device='cpu'),
             'six': case(8, 1, shape=replace(TINY, layers=6)), 'nine': case(8, 1, shape=replace(TINY, layers=9))}
    given = '\n'.join(json.dumps(asdict(c)) for c in cases.values())
    done = subprocess.run([sys.executable, '-c', SCRIPT], input=given, capture_output=True, text=True,
                          env={**os.environ, 'TORCH_CPP_LOG_LEVEL': 'ERROR'})
    lines = [l for l in done.stdout.splitlines() if l.startswith('rehearsed ')]
    assert len(lines) == len(cases), done.stderr[-1000:]
    return {n: (c, json.loads(l.removeprefix('rehearsed '))) for (n, c), l in zip(cases.items(), lines)}


def at(rehearsed, stage, *places):
    "Bytes at the peak of a stage, over some places."
    return sum(sum(r['kinds'].values()) for r in rehearsed['stages'] if r['stage'] == stage and r['place'] in places)


def test_fake_tensors_take_what_real_ones_take(found):
    "One process: a step with numbers on this CPU holds the bytes that were rehearsed on a GPU in name."
    a, b = found['alone'][1], found['real'][1]
    for stage in ('forward', 'backward, first layer', 'gradients taken', 'optimiser'):
        rehearsed = at(a, stage, 'gpu', 'cpu')
        assert rehearsed == pytest.approx(at(b, stage, 'cpu'), rel=.02), stage


@pytest.mark.parametrize('name', ['serial', 'parallel', 'alone', 'lora'])
def test_the_plan_beside_the_rehearsal(found, name):
    "What the worst stage of a branch holds, within 10 % of the plan; what is sent, within 1 %."
    from mot_nb.scale.rehearsed import branch_peak, planned, sent_ratio
    c, r = found[name]
    need = sum(branch_peak(r)['kinds'].values())
    assert need / planned(c).total == pytest.approx(1, abs=.1), branch_peak(r)
    assert all(a == pytest.approx(b, rel=.01) for a, b in sent_ratio(c, r).values())


def test_layers_along_a_line(found):
    "Nine layers from four and six are nine layers rehearsed; a merge is the larger of two moments, so nearly."
    from mot_nb.scale.rehearsal import rehearse_few
    given = {4: found['serial'][1], 6: found['six'][1]}
    line = rehearse_few(found['nine'][0], by=lambda *cases: [given[c.shape.layers] for c in cases])
    whole = found['nine'][1]
    for r in (r for r in line['stages'] if r['place'] == 'gpu'):
        near = .05 if r['stage'] in ('merge', 'save') else .03
        assert sum(r['kinds'].values()) == pytest.approx(at(whole, r['stage'], 'gpu'), rel=near), r['stage']


def test_what_waits_in_main_memory_is_not_on_the_gpu(found):
    "LoRA's float32 numbers lie in main memory; the whole copy at a branch's end is seen."
    P = sum(r['kinds'].get('working copy', 0) for r in found['alone'][1]['stages']
            if r['stage'] == 'optimiser' and r['place'] == 'gpu') / 2
    assert at(found['lora'][1], 'optimiser', 'gpu') < 3 * P < at(found['alone'][1], 'optimiser', 'gpu')
    held = next(r for r in found['alone'][1]['stages'] if r['stage'] == 'branch is held' and r['place'] == 'gpu')
    assert held['kinds']['copy of the student'] == pytest.approx(4 * P, rel=.01)


@pytest.mark.parametrize('name', ['serial', 'parallel'])
def test_start_and_sum_wait_in_main_memory(found, name):
    "Ranks: 10 bytes a weight beside the GPU at the merge, and the base student's 4; on it one tensor at a time."
    c, r = found[name]
    peak = {p: next(x['kinds'] for x in r['stages'] if (x['stage'], x['place']) == ('branch is held', p))
            for p in ('gpu', 'cpu')}
    masters = peak['gpu']['parameters']                                    # 4 bytes a weight of this rank
    largest = 4 * c.shape.vocabulary * c.shape.hidden / c.shards
    assert 14 / 4 * masters < sum(peak['cpu'].values()) + 1e4 < 14 / 4 * masters + 1.1 * largest
    assert masters < sum(peak['gpu'].values()) - 2 * masters < masters + 4 * largest       # masters, moments, a tensor


def test_the_recorded_cases_agree_with_the_plan():
    "Every profile of the paper, all weights and LoRA, 1 to 16 ranks, every layout: today's plan within 10 %."
    from mot_nb.scale.rehearsed import rehearsed_beside_planned
    data = rehearsed_beside_planned().data
    students = 'Qwen3-8B', 'Qwen3-14B', 'Qwen3-30B-A3B'
    assert {(d['student'], d['ranks'], d['lora'] > 0) for d in data} == {
        (s, n, lora) for s in students for n in (1, 4, 8, 16) for lora in (False, True)}
    assert all(abs(d['ratio'] - 1) < .1 for d in data), [d for d in data if abs(d['ratio'] - 1) >= .1]
