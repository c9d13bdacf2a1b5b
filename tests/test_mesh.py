"""Several processes give what one gives, the same twice; killed ranks end the run and its resume ends in the same
hashes."""
import json, os, signal, subprocess, sys, time
from pathlib import Path

import pytest

from mot_nb.scale.mesh import choose_layout
from mot_nb.core.errors import MotError
from mot_nb.core.settings import load_settings, to_yaml
from mot_nb.scale.watch import alive

ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'TORCH_CPP_LOG_LEVEL': 'ERROR'}


def script(name, *words, seconds=900):
    "The JSON lines a script of tests/tools prints."
    done = subprocess.run([sys.executable, Path(__file__).parent/'tools'/name, *map(str, words)], capture_output=True,
                          text=True, env=ENV, timeout=seconds)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return [json.loads(l) for l in done.stdout.splitlines() if l.startswith('{')]


@pytest.mark.long
def test_eight_ranks_equal_one_process(tmp_path):
    """K=4 and K=3, parallel and serial, full weights and LoRA, every method's students: to 1e-5, where the students
    have moved by twenty times that; the same settings twice: the same bits."""
    rows = script('equal_ranks.py', tmp_path)
    for r in rows:
        print(r['case'], f"{r['groups']} x {r['shards']}", {n: f'{v:.1e}' for n, v in r['largest'].items()},
              f"moved {r['moved']:.1e}", f"loss {r['loss']:.1e}")
    assert [(r['K'], r['groups'], r['shards'], r['lora']) for r in rows] == [(4, 4, 2, ''), (4, 1, 8, ''),
                                                                             (3, 2, 4, ''), (3, 1, 8, ''),
                                                                             (3, 2, 4, 'residual'), (4, 4, 2, '')]
    for r in rows:
        assert len(r['largest']) == (8 if r['K'] == 4 else 7) and max(r['largest'].values()) < 1e-5
        assert r['moved'] > 1e-4 and r['loss'] < 1e-5 and r['accuracy'] == 0
    assert rows[0]['hash'] == rows[-1]['hash']


@pytest.mark.long
@pytest.mark.parametrize('layout', ['parallel', 'serial'])
def test_parts_on_two_ranks(tmp_path, layout):
    """Operators, an outer step, teachers introduced one by one, a curriculum: as in one process to rounding, resumed
    bit for bit."""
    rows = script('equal_parts.py', tmp_path, 2, layout)
    for r in rows: print(r['part'], f"{r['apart']:.1e}", r['resumed'])
    assert len(rows) == 7 and max(r['apart'] for r in rows) < 2e-6 and all(r['resumed'] == 0 for r in rows)


@pytest.mark.long
def test_a_few_kills(tmp_path):
    """One rank or both killed at a file write or at random; the full sweep is `kill_ranks.py` by hand, its table in
    data/recorded/checks/kills.jsonl."""
    head, *rows, last = script('kill_ranks.py', tmp_path, '--layout', 'serial', '--writes', '20:45:1', '--random', 1,
                               '--seed', os.getpid())
    print(*rows, last, sep='\n')
    assert last['kills'] >= 3 and last['equal'] == last['folders'] == len(rows) and last['longest'] < 60
    # the first of two records of one measurement: the other rank is past both by then
    _, row, last = script('kill_ranks.py', tmp_path/'ahead', '--layout', 'parallel', '--at',
                          'ledger.jsonl (measure std-plain-r1)')
    print(row)
    assert 'measure std-plain-r1' in row['where'][0] and row['kills'] == 1 and row['equal']


@pytest.mark.long
def test_killed_launcher_leaves_nobody(tmp_path):
    """kill -9 of the launcher of two ranks in the middle of a branch: all processes are gone within a minute, and a log
    says why."""
    settings = load_settings({'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'],
                                                                        'n_train': 8, 'n_heldout': 0},
                              'train': {'lr': 1e-4, 'steps': 2000, 'batch': 4, 'compute': 'float32'},
                              'rounds': {'rounds': 1, 'methods': ['mot']}, 'eval': {'loss_rows': 2}})
    (tmp_path/'s.yaml').write_text(to_yaml(settings))
    launch = subprocess.Popen([str(Path(sys.executable).with_name('accelerate')), 'launch', '--multi_gpu',
                               '--num_processes', '2', '--num_machines', '1', '--mixed_precision', 'no',
                               '--dynamo_backend', 'no',
                               '-m', 'mot_nb', 'run', str(tmp_path/'s.yaml'), 'name=x', '--out', str(tmp_path/'run'),
                               '--quiet'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
    logs, end = [tmp_path/f'run/logs/rank-{r}.log' for r in (0, 1)], time.time() + 300
    while not all(l.exists() and 'step 3/' in l.read_text() for l in logs):
        assert launch.poll() is None and time.time() < end, [l.exists() and l.read_text()[-1000:] for l in logs]
        time.sleep(.1)
    pids = [int(l.read_text().split(': process ')[1].split()[0]) for l in logs]
    launch.send_signal(signal.SIGKILL)
    killed = time.time()
    launch.wait()
    while any(map(alive, pids)):
        assert time.time() - killed < 60, 'a rank lives on'
        time.sleep(.05)
    print(f'gone after {time.time() - killed:.1f} s')
    assert any('the launcher' in l.read_text() and 'is dead' in l.read_text() for l in logs)


@pytest.mark.long
def test_two_machines_one_is_lost(tmp_path):
    """Two launchers, as on two machines; one is killed with its rank: the other ends by itself. Three ranks of one
    launcher then go on, and end where one process ends, to rounding."""
    from safetensors.torch import load_file
    from mot_nb.methods.runs import run, seed_folder
    from ranks import free_port
    settings = load_settings({
        'student': {'name': 'toy-tiny'},
        'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 16, 'n_heldout': 2},
        'train': {'lr': 1e-4, 'steps': 8, 'batch': 6, 'eps': 1e-6, 'compute': 'float32', 'micro_tokens': 128,
                  'checkpoint_every': 1},
        'rounds': {'rounds': 2, 'methods': ['mot'], 'keep': 'merged'}, 'eval': {'max_new_tokens': 8, 'loss_rows': 4}})
    (tmp_path/'s.yaml').write_text(to_yaml(settings))
    one = run(settings, tmp_path/'one', progress=False)
    words = ['-m', 'mot_nb', 'run', str(tmp_path/'s.yaml'), '--out', str(tmp_path/'two'), '--device', 'cpu']
    def launcher(node, nodes, ranks, port):
        how = [f'--nnodes={nodes}', f'--node_rank={node}', f'--nproc_per_node={ranks}', '--master_addr=127.0.0.1',
               f'--master_port={port}']
        return subprocess.Popen([sys.executable, '-m', 'torch.distributed.run', *how, *words], env=ENV,
                                start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = free_port()
    pair, begin = [launcher(n, 2, 1, port) for n in range(2)], time.time()
    ledger = tmp_path/'two'/'seed-0'/'ledger.jsonl'
    while not (ledger.exists() and 'measure mot-r1' in ledger.read_text()): # the first round is done
        assert time.time() - begin < 240 and pair[0].poll() is None
        time.sleep(.05)
    os.killpg(pair[1].pid, signal.SIGKILL)
    assert pair[0].wait(120) != 0
    assert launcher(0, 1, 3, free_port()).wait(600) == 0
    a, b = (load_file(seed_folder(x, 0)/'students'/'mot-r2'/'model.safetensors') for x in (one.folder, tmp_path/'two'))
    assert max(float((a[n] - b[n]).abs().max()) for n in a) < 1e-5


def test_layouts():
    "The choice from branches, ranks, rows and memory; what cannot be is refused with the numbers."
    groups = lambda *a, **kw: choose_layout(*a, **kw).groups
    assert [groups(4, 8), groups(3, 8), groups(4, 1), groups(5, 4), groups(8, 8)] == [4, 1, 1, 1, 8]
    assert groups(3, 8, 'parallel') == 2 and groups(4, 8, 'serial') == 1 and groups(4, 8, '2') == 2
    assert groups(3, 8, batch=4) == 2                       # one group of 8 would have 4 ranks without rows
    need = lambda shards: 100 / shards
    assert [groups(4, 8, need=need, room=r) for r in (50, 49, 24, 13)] == [4, 2, 1, 1]
    for bad in (dict(want='3'), dict(need=need, room=12)):
        with pytest.raises(MotError): choose_layout(4, 8, **bad)
    with pytest.raises(MotError): load_settings(overrides=['rounds.layout=wide'])


def test_the_plan_and_the_run_choose_alike():
    "`mot plan` and a run on ranks divide them in the same way, whatever fits."
    from mot_nb.scale.memory import HELD, memory
    from mot_nb.scale.options import better_layout
    how = dict(micro_tokens=8192, compute='bfloat16', checkpointing=True)
    seen = set()
    for branches in (2, 3, 4):
        for ranks in (2, 4, 8):
            for room in (20e9, 40e9, 80e9, 160e9):
                l = better_layout('Qwen3-8B', ranks, branches, room, batch=64, **how)
                if not l.fits: continue
                run = choose_layout(branches, ranks, batch=64, room=room,
                                    need=lambda S: memory('Qwen3-8B', shards=S, mesh=True, held=HELD['cuda'],
                                                          **how).total)
                assert (run.groups, run.shards) == (l.branches, l.shards), (branches, ranks, room)
                seen.add((l.branches, l.shards))
    assert len(seen) > 3, seen


def test_layout_is_no_part_of_the_identity():
    from mot_nb.core.experiment import identity
    plain = identity(load_settings())
    assert identity(load_settings(overrides=['rounds.layout=serial'])) == plain
    assert identity(load_settings(overrides=['train.lr=1e-4'])) != plain
