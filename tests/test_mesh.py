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


@pytest.mark.skipif(os.uname()[::4] != ('Linux', 'x86_64'), reason='the number of the system call is that of Linux')
def test_a_launcher_whose_main_thread_is_gone_counts_as_dead():
    "Killed, its threads end one after the other, which takes a while on a busy machine; its children still have it."
    from mot_nb.scale.watch import ending
    code = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print(flush=True)
ctypes.CDLL(None).syscall(60, 0)"""                                  # exit, of this thread alone
    p = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)
    try:
        p.stdout.readline()
        until = time.time() + 20
        while not ending(p.pid): assert time.time() < until and p.poll() is None
        assert p.poll() is None and not ending(os.getpid()) and not ending(2**30)
    finally:
        p.kill()
        p.wait()


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


def tiny_experts(folder, family): # 'qwen3_moe' or 'mixtral'
    "A folder with a tiny mixture of six experts, which four ranks do not share evenly."
    import transformers as tf
    from mot_nb.student.models import byte_tokenizer, save_student
    tok = byte_tokenizer()
    sizes = dict(vocab_size=len(tok), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                 num_key_value_heads=1, head_dim=16, num_experts_per_tok=2, eos_token_id=2, pad_token_id=0,
                 bos_token_id=None)
    if family == 'mixtral': model = tf.MixtralForCausalLM(tf.MixtralConfig(num_local_experts=6, **sizes))
    else: model = tf.Qwen3MoeForCausalLM(tf.Qwen3MoeConfig(num_experts=6, moe_intermediate_size=16, **sizes))
    return str(save_student(folder, model.float().eval(), tok))


PLACE = """
from pathlib import Path
import torch.distributed.fsdp, torch.distributed.tensor, scipy.stats, transformers.generation.utils
import transformers.models.qwen3.modeling_qwen3, torch._dynamo   # once, not in every rank anew
import mot_nb.methods.ranks as ranks
import mot_nb.scale.joint_files as joint_files
from mot_nb.core.errors import MotError
from mot_nb.core.settings import StudentSettings, TrainSettings
def place_of(mesh, name, groups=1):
    "The ranks' hold of a student."
    return ranks.Ranks(StudentSettings(name=name), TrainSettings(compute='float32'), mesh,
                       lambda model: choose_layout(groups, mesh.ranks, 'parallel'))
def full(fd, data, at): raise OSError(28, 'No space left on device')
"""


@pytest.mark.parametrize('family, groups', [('toy-tiny', 2), ('qwen3_moe', 1), ('mixtral', 1)])
def test_ranks_write_the_student_that_one_process_writes(tmp_path, family, groups):
    """Together, or gathered where a family's names are others: tensor for tensor and file for file `save_student`;
    read back by rows."""
    import torch
    from safetensors.torch import load_file
    from mot_nb.scale.mesh import on_ranks
    from mot_nb.student.models import save_student
    from mot_nb.student.students import load_student
    name = family if family.startswith('toy') else tiny_experts(tmp_path/'start', family)
    together = family != 'mixtral'
    one, many = save_student(tmp_path/'one', *load_student(name)), tmp_path/'many'
    found = on_ranks(4, f"""
    place, whole = place_of(mesh, {name!r}, {groups}), []
    place.row.gather = lambda own=place.row.gather: (whole.append(1), own())[1]
    place.save({str(many)!r}, place.base)
    mesh.wait()
    again = place.read({str(many)!r}, place.base_hash)
    tell(gathered=len(whole), same=all(torch.equal(again[n], t) for n, t in place.base.items()))
    """, PLACE)
    assert [r['same'] for r in found] == [True]*4
    assert sum(r['gathered'] for r in found) == (0 if together else 4)
    files = {p.name for p in one.iterdir()}
    assert {p.name for p in many.iterdir()} == files and sorted(os.listdir(tmp_path)) in (
        ['many', 'one'], ['many', 'one', 'start'])
    assert all((one/f).read_bytes() == (many/f).read_bytes() for f in files if not f.endswith('.safetensors'))
    a, b = (load_file(p/'model.safetensors') for p in (one, many))
    assert a.keys() == b.keys() and all(torch.equal(a[n], b[n]) and a[n].dtype == b[n].dtype for n in a)
    assert all(p.stat().st_mode & 0o777 == 0o644 for p in many.iterdir())


def test_ranks_write_the_checkpoint_that_one_process_writes(tmp_path):
    "Masters and moments of four ranks: the bytes of whole tensors behind `start_file`'s header."
    import torch
    from safetensors.torch import load_file
    from mot_nb.scale.mesh import on_ranks
    from mot_nb.student.weight_files import start_file, write_all
    on_ranks(4, f"""
    place = place_of(mesh, 'toy-tiny')
    body = ShardTeam(place.row).weights(place.row.model, place.train, place.base, torch.float32)
    moments = {{k: {{n: f(t) for n, t in place.base.items()}} for k, f in (('a', torch.square), ('b', torch.neg))}}
    folder = Path({str(tmp_path)!r}) if mesh.rank == 0 else None
    body.write(folder, 'masters', {{'': place.base}})
    body.write(folder, 'moments', moments)
    save_student(f'{tmp_path}/own/{{mesh.rank}}', *load_student('toy-tiny'))
    """, PLACE + """
from mot_nb.scale.teams import ShardTeam
from mot_nb.student.models import save_student
from mot_nb.student.students import load_student
""")
    alone = [sorted(p.name for p in (tmp_path/'own'/str(r)).iterdir()) for r in range(4)]
    assert alone == alone[:1]*4 and 'config.json' in alone[0]    # transformers alone writes on rank 0 only
    masters = load_file(tmp_path/'masters.safetensors')
    moments = {f'{n}::{k}': f(t) for k, f in (('a', torch.square), ('b', torch.neg)) for n, t in masters.items()}
    for file, tensors in (('masters', masters), ('moments', moments)):
        f, at = start_file(tmp_path/'one', {n: (t.dtype, tuple(t.shape)) for n, t in tensors.items()})
        with f:
            for n, t in tensors.items(): write_all(f.fileno(), t.view(-1).view(torch.uint8).numpy(), at[n])
        assert (tmp_path/'one').read_bytes() == (tmp_path/f'{file}.safetensors').read_bytes()


def test_a_rank_without_room_is_an_error_of_all(tmp_path):
    """A student and tensors of group 0 (ranks 0 and 1), a checkpoint of either group: every rank that waits for them
    raises, and nothing is there; with room again all are written."""
    from mot_nb.scale.mesh import on_ranks
    found = on_ranks(4, f"""
    place, folder = place_of(mesh, 'toy-tiny', 2), Path({str(tmp_path)!r})
    team, own = ShardTeam(place.row), joint_files.write_all
    body = team.weights(place.row.model, place.train, None, torch.float32)
    branch = SimpleNamespace(team=team, body=body, masters=body.masters, optimiser=None, label='t', step=1, count=0,
                             log=[])
    def raised(f):
        try: f()
        except MotError as e: return e.what
    def all_of_them(): return [raised(lambda: place.save(folder/'student', place.base)),
                               raised(lambda: place.aside(folder/'outer.safetensors', place.base)),
                               raised(lambda: write_checkpoint(branch, folder/f'step-{{mesh.group}}'))]
    for unlucky in (0, 1, 2, None):
        joint_files.write_all = full if mesh.rank == unlucky else own
        what = all_of_them()
        mesh.wait()
        tell(unlucky=unlucky, rank=mesh.rank, what=what, left=sorted(p.name for p in folder.iterdir()))
        mesh.wait()
        for p in folder.iterdir() if mesh.rank == 0 and unlucky is not None else ():
            shutil.rmtree(p) if p.is_dir() else p.unlink()
        mesh.wait()
    """, PLACE + """
import shutil
from types import SimpleNamespace
from mot_nb.scale.teams import ShardTeam
from mot_nb.student.branch import write_checkpoint
""")
    mine, another = 'could not write: No space left on device', 'another rank of this branch could not write its part'
    by = {(r['unlucky'], r['rank']): r for r in found}
    what = lambda unlucky: [by[unlucky, rank]['what'] for rank in range(4)]
    a, b = [mine]*3, [another]*3
    assert what(0) == [a, b, [mine, mine, None], [mine, mine, None]]
    assert what(1) == [b, a, [another, another, None], [another, another, None]]
    assert what(2) == [[None]*3, [None]*3, [None, None, mine], [None, None, another]]
    assert by[0, 0]['left'] == by[1, 0]['left'] == ['step-1'] and what(None) == [[None]*3]*4
    assert by[2, 0]['left'] == ['outer.safetensors', 'step-0', 'student']
    assert by[None, 0]['left'] == ['outer.safetensors', 'step-0', 'step-1', 'student']


def test_what_is_kept_beside_a_stage(tmp_path):
    "Pieces of all ranks as one file: `hash_tensors` of the whole tensors; read by rows, and not where it is damaged."
    from mot_nb.scale.mesh import on_ranks
    path = tmp_path/'work'/'outer.safetensors'
    found = on_ranks(4, f"""
    place, path = place_of(mesh, 'toy-tiny', 2), Path({str(path)!r})
    kept = ranks.Pieces({{n: t.square() for n, t in place.base.items()}})
    h = place.aside(path, kept)
    own, there = place.own(place.read_aside(path, h)), hash_tensors(load_file(path))
    same = all(torch.equal(own[n], t) for n, t in kept.items()) and own.keys() == kept.keys()
    mesh.wait()
    if mesh.rank == 0: path.write_bytes(path.read_bytes()[:-1] + b'x')
    mesh.wait()
    tell(hash=h, there=there, same=same, damaged=place.read_aside(path, h) is None)
    """, PLACE + """
from safetensors.torch import load_file
from mot_nb.core.hashes import hash_tensors
""")
    assert all(r['same'] and r['damaged'] and r['hash'] == r['there'] for r in found)
    assert len({r['hash'] for r in found}) == 1 and os.listdir(path.parent) == [path.name]
