"What a notebook cannot test of the merge: kill -9, full disks, memory, many shards."
import contextlib, json, os, random, signal, subprocess, sys, time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mot_nb.student.merge import merge_states, merge_with_report
from mot_nb.student.merge_folders import merge_folders
from mot_nb.student.merge_report import MergeReport
from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.files import sweep

ROOT = Path(__file__).resolve().parents[1]

def student(path, state, shards=1, tied=True):
    "A folder with these weights in so many shards, with the least configuration a merge reads."
    path.mkdir(parents=True)
    (path/'config.json').write_text(json.dumps({'model_type': 'none', 'vocab_size': 8, 'tie_word_embeddings': tied,
                                                'dtype': 'float32'}))
    names = sorted(state)
    if shards == 1:
        save_file(state, path/'model.safetensors', metadata={'format': 'pt'})
        return path
    where = {n: f'model-{i % shards + 1:05d}-of-{shards:05d}.safetensors' for i, n in enumerate(names)}
    for file in set(where.values()):
        save_file({n: state[n] for n in names if where[n] == file}, path/file, metadata={'format': 'pt'})
    (path/'model.safetensors.index.json').write_text(json.dumps({'metadata': {}, 'weight_map': where}))
    return path

def states(k=3, tensors=12, n=5000, seed=0, scale=1e-3):
    g = torch.Generator().manual_seed(seed)
    base = {f'model.layers.{i}.w': torch.randn(n + i, generator=g)
            for i in range(tensors)} | {'steps': torch.tensor([1, 2, 3])}
    return [{name: t + scale*torch.randn(t.shape, generator=g) if t.is_floating_point() else t for name,
             t in base.items()} for _ in range(k)]

def load(path): return {k: t for f in sorted(Path(path).glob('*.safetensors')) for k, t in load_file(f).items()}

def run(code, *args, **kw):
    "A fresh Python that runs this code."
    return subprocess.Popen([sys.executable, '-c', code, *map(str, args)], cwd=ROOT,
                            env={**os.environ, 'OMP_NUM_THREADS': '1'}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **kw)

# kill -9 --------------------------------------------------------------------------------------------------------------
FORKED = '''
import os, sys, time
from mot_nb.student.merge_folders import merge_folders
*folders, out = sys.argv[1:]
print('ready', flush=True)
for line in sys.stdin:                 # one merge a line, in a child that can be killed
    pid = os.fork()
    if not pid:
        merge_folders(folders, out); os._exit(0)
    print(pid, flush=True)
    _, status = os.waitpid(pid, 0)
    print(status, flush=True)
'''

def test_kill_leaves_the_output_whole_or_absent(tmp_path):
    many = states(n=60_000)
    folders = [student(tmp_path/f'b{i}', s, shards=i + 1) for i, s in enumerate(many)]
    before = {p: p.read_bytes() for f in folders for p in f.iterdir()}
    right, out = hash_tensors(merge_states(many)), tmp_path/'out'
    p = run(FORKED, *folders, out, stdin=subprocess.PIPE)
    assert p.stdout.readline().strip() == 'ready'
    def once(delay):
        "Merges in a child, killed after `delay` seconds; returns (seconds, killed)."
        p.stdin.write('\n')
        p.stdin.flush()
        pid, t = int(p.stdout.readline()), time.time()
        if delay is not None:
            time.sleep(delay)
            with contextlib.suppress(ProcessLookupError): os.kill(pid, signal.SIGKILL)
        status = int(p.stdout.readline())
        return time.time() - t, os.WIFSIGNALED(status)
    # the first is the slowest: it warms the page cache
    assert not once(None)[1] and hash_tensors(load(out)) == right
    rng, hits, absent, tries, longest = random.Random(0), 0, 0, 0, once(None)[0]
    while (hits < 20 or absent < 3) and tries < 200:
        tries += 1
        fresh = tries % 2 == 0                              # over an older student, and into nothing
        for f in out.glob('*') if fresh else (): f.unlink()
        if fresh and out.exists(): out.rmdir()
        had = out.exists()
        seconds, killed = once(rng.uniform(0, longest))
        hits += killed
        # it was done before the blow: aim within what a merge takes now
        if not killed: longest = seconds
        if out.exists():
            assert hash_tensors(load(out)) == right and (out/'config.json').is_file()
            assert json.loads((out/'merge_report.json').read_text())['output_hash'] == right
        else: absent += 1
        assert out.exists() or not had, 'the older student is gone'
        sweep(tmp_path)
    p.stdin.close()
    p.wait(30)
    assert hits >= 20 and absent >= 3, (hits, absent, tries)
    assert {q: q.read_bytes() for f in folders for q in f.iterdir()} == before
    merge_folders(folders, out)
    assert hash_tensors(load(out)) == right and sorted(q.name for q in tmp_path.iterdir()) == ['b0', 'b1', 'b2', 'out']

# full disk ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('after', [0, 1, 3, 10, 30])
def test_full_disk_at_every_write(tmp_path, monkeypatch, after):
    many = states(n=200_000, tensors=6)
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    real, calls = os.pwrite, iter(range(10**9))
    def pwrite(fd, data, offset):
        if next(calls) >= after: raise OSError(28, 'No space left on device')
        return real(fd, data[:max(1, len(data)//2)], offset)      # and writes that come back half done
    monkeypatch.setattr(os, 'pwrite', pwrite)
    with pytest.raises(MotError, match='No space left'): merge_folders(folders, tmp_path/'out')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['b0', 'b1', 'b2']

def test_short_writes_are_finished(tmp_path, monkeypatch):
    many = states(tensors=2)
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    real = os.pwrite
    monkeypatch.setattr(os, 'pwrite', lambda fd, data, offset: real(fd, data[:max(1, len(data)//3)], offset))
    report = merge_folders(folders, tmp_path/'out')
    assert hash_tensors(load(tmp_path/'out')) == report.output_hash == hash_tensors(merge_states(many))

def test_the_system_refuses_a_file_that_large(tmp_path):
    "A real failure of the kernel: the process may write files of 1 MB at most."
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(states(n=200_000, tensors=4))]
    p = run('''
import resource, signal, sys
from mot_nb.student.merge_folders import merge_folders
from mot_nb.core.errors import MotError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
*folders, out = sys.argv[1:]
try: merge_folders(folders, out)
except MotError as e: print(e)
''', *folders, tmp_path/'out')
    text = p.communicate(timeout=120)[0]
    assert text.startswith('could not write'), text
    assert sorted(q.name for q in tmp_path.iterdir()) == ['b0', 'b1', 'b2']

def test_room_is_looked_at_first(tmp_path, monkeypatch):
    import shutil
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(states())]
    monkeypatch.setattr(shutil, 'disk_usage', lambda p: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(MotError, match='not enough room'): merge_folders(folders, tmp_path/'out')

# memory ---------------------------------------------------------------------------------------------------------------
MEMORY = '''
import sys
from mot_nb.student.merge_folders import merge_folders
small, *folders, out = sys.argv[1:]
def memory(what): return next(int(line.split()[1])*1024 for line in open('/proc/self/status') if line.startswith(what))
merge_folders([small, small], out, base=small)              # everything is imported and warm
open('/proc/self/clear_refs', 'w').write('5')               # the peak starts anew
start = memory('VmRSS')
merge_folders(folders, out, base=folders[0])
print(memory('VmHWM') - start)
'''

@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='reads the peak from Linux\'s /proc')
def test_memory_is_flat_in_model_size_and_branches(tmp_path):
    """One tensor of 64 MB and 32 MB more, from 2 and from 8 branches: never a whole tensor of a branch, a few mapped
    megabytes of each (the system maps up to 2 MB at a time)."""
    small = student(tmp_path/'small', {'w': torch.randn(300_000)})
    for i in range(3):
        g = torch.Generator().manual_seed(i)
        student(tmp_path/f'b{i}', {'big': torch.randn(16_000_000, generator=g),
                                   'more': torch.randn(8_000_000, generator=g)})
    used = {}
    for k in (2, 8):
        p = run(MEMORY, small, *[tmp_path/f'b{i % 3}' for i in range(k)], tmp_path/'out')
        text, err = p.communicate(timeout=300)
        assert p.returncode == 0, err
        used[k] = int(text)
    assert used[2] < 30e6 and used[8] < 90e6, used      # held whole, the largest tensor alone would take 128 and 512 MB

# shards ---------------------------------------------------------------------------------------------------------------
def test_many_shards_in_different_cuts(tmp_path):
    many = states(k=4, tensors=40, n=700)
    folders = [student(tmp_path/f'b{i}', s, shards) for i, (s, shards) in enumerate(zip(many, (1, 7, 41, 13)))]
    hashes = set()
    for order in ([0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]):
        out = tmp_path/f'out{order[0]}'
        report = merge_folders([folders[i] for i in order], out, weights=[.25]*4)
        hashes.add(report.output_hash)
        assert {p.name for p in out.glob('*.safetensors')} == {p.name for p in folders[order[0]].glob('*.safetensors')}
        assert hash_tensors(load(out)) == report.output_hash and report.merged == 40
        assert report.same == 1 == report.expected - 40
        if order[0]:
            index = json.loads((out/'model.safetensors.index.json').read_text())
            assert set(index['weight_map']) == set(many[0])
            assert index['metadata']['total_size'] == sum(t.nbytes for t in many[0].values())
    assert hashes == {hash_tensors(merge_states(many))}

# files that are not what they should be -------------------------------------------------------------------------------
def test_damaged_files_are_refused(tmp_path):
    good = student(tmp_path/'good', states(k=1)[0])
    rng, whole = random.Random(1), (good/'model.safetensors').read_bytes()
    cuts = [b'', b'\0'*8, b'\xff'*64, whole[:100], whole[:-1], whole + b'\0', whole[:8] + b'[' + whole[9:],
            whole.replace(b'"F32"', b'"F8_"', 1), whole.replace(b'"shape":[5000]', b'"shape":[5001]', 1)]
    cuts += [whole[:i] for i in (rng.randrange(len(whole)) for _ in range(20))]
    for i, data in enumerate(cuts):
        bad = student(tmp_path/f'bad{i}', {'w': torch.ones(1)})
        (bad/'model.safetensors').write_bytes(data)
        with pytest.raises(MotError): merge_folders([good, bad], tmp_path/'out')
        assert not (tmp_path/'out').exists()

def test_index_must_stay_in_its_folder(tmp_path):
    good = student(tmp_path/'good', states(k=1)[0], 2)
    bad = student(tmp_path/'bad', states(k=1)[0], 2)
    index = json.loads((bad/'model.safetensors.index.json').read_text())
    index['weight_map']['steps'] = '../good/model-00001-of-00002.safetensors'
    (bad/'model.safetensors.index.json').write_text(json.dumps(index))
    with pytest.raises(MotError, match='outside'): merge_folders([good, bad], tmp_path/'out')

def test_output_is_never_an_input_or_a_strangers_folder(tmp_path):
    a, b = (student(tmp_path/f'x/{n}', s) for n, s in zip('ab', states(k=2)))
    (tmp_path/'link').symlink_to(a)
    (tmp_path/'home').mkdir()
    (tmp_path/'home'/'thesis.tex').write_text('ten years')
    for out in (a, a/'merged', tmp_path/'x', tmp_path/'link', tmp_path/'home'):
        with pytest.raises(MotError): merge_folders([a, b], out)
    assert (tmp_path/'home'/'thesis.tex').read_text() == 'ten years' and load(a).keys() == load(b).keys()

# numbers --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_memory_and_files_give_the_same_bits(tmp_path, dtype):
    many = [{k: t.to(dtype) if t.is_floating_point() else t for k, t in s.items()}
            for s in states(k=5, n=200_003, tensors=2)]
    many = [{**s, 'empty': torch.zeros(0, 3, dtype=dtype), 'scalar': torch.tensor(.1*i, dtype=dtype),
             'flags': torch.tensor([True, False])} for i, s in enumerate(many)]
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    for weights in (None, [.1, .2, .3, .4, 0.]):
        for target in (None, dtype):
            report = merge_folders(folders, tmp_path/'out', weights, target, base=folders[0])
            merged, other = merge_with_report(many, weights, target, base=many[0], hashes=True)
            assert hash_tensors(load(tmp_path/'out')) == hash_tensors(merged) == report.output_hash == other.output_hash
            assert report.hashes == other.hashes and report.layers == other.layers
            assert MergeReport.from_dict(json.loads((tmp_path/'out'/'merge_report.json').read_text())) == report

def test_a_student_merged_with_itself_is_itself():
    rng = random.Random(0)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        x = {'w': torch.randn(3000).to(dtype),
             'edge': torch.tensor([0., -0., 1e-45, -3.4e38, 3.4e38, 1e-38]).to(dtype).nan_to_num(posinf=1., neginf=-1.)}
        for k in range(1, 9):
            for _ in range(5):
                w = [rng.random() for _ in range(k)]
                merged = merge_states([{n: t.clone() for n, t in x.items()} for _ in range(k)], [v/sum(w) for v in w],
                                      dtype)
                assert hash_tensors(merged) == hash_tensors(x), (dtype, k)

def test_states_are_not_changed_and_results_are_new():
    many = states()
    before = [hash_tensors(s) for s in many]
    merged = merge_states(many, [1, 0, 0])
    for t in merged.values(): t.zero_()
    assert [hash_tensors(s) for s in many] == before

def test_tiny_and_huge_updates_are_measured():
    "Squares of 1e-25 underflow in float32 and those of 1e25 overflow; the cosine must not."
    g = torch.Generator().manual_seed(0)
    d = [torch.randn(1000, generator=g) for _ in range(3)]
    want = merge_with_report([{'w': x} for x in d], base={'w': torch.zeros(1000)})[1].layers[0]
    for size in (1e-25, 1e25):
        got = merge_with_report([{'w': x*size} for x in d], base={'w': torch.zeros(1000)})[1].layers[0]
        assert abs(got.cosine - want.cosine) < 1e-5 and abs(got.shrinkage - want.shrinkage) < 1e-5
        assert got.sign_agreement == want.sign_agreement

# a user's folder ------------------------------------------------------------------------------------------------------
def older(path):
    "An older result to merge over."
    return student(path, states(k=1, seed=9)[0])

@pytest.mark.parametrize('mine', ['notes.txt', '.git/config', 'README.md', 'model.safetensors.bak',
                                  'runs/a/ledger.jsonl',
                                  'additional_chat_templates/draft.txt'])
def test_what_lies_beside_an_older_student_is_not_deleted(tmp_path, mine):
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(states())]
    out = older(tmp_path/'out')
    (out/mine).parent.mkdir(parents=True, exist_ok=True)
    (out/mine).write_text('ten years')
    before = {p: p.read_bytes() for p in out.rglob('*') if p.is_file()}
    with pytest.raises(MotError, match=mine.split('/')[0].replace('.', '[.]')): merge_folders(folders, out)
    assert {p: p.read_bytes() for p in out.rglob('*') if p.is_file()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ['b0', 'b1', 'b2', 'out']

def test_an_older_student_of_any_shape_is_replaced(tmp_path):
    many = states()
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    out = student(tmp_path/'out', states(k=1, seed=9)[0], shards=3)
    merge_folders(folders, out)
    merge_folders(folders, out)                     # over a result of its own
    assert hash_tensors(load(out)) == hash_tensors(merge_states(many))

def test_a_link_stays_a_link(tmp_path):
    many = states()
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    older(tmp_path/'store'/'old')
    (tmp_path/'newest').symlink_to(tmp_path/'store'/'old')
    (tmp_path/'to_come').symlink_to(tmp_path/'store'/'new')
    for link, target in (('newest', 'old'), ('to_come', 'new')):
        merge_folders(folders, tmp_path/link)
        assert (tmp_path/link).is_symlink()
        assert hash_tensors(load(tmp_path/'store'/target)) == hash_tensors(merge_states(many))
    (tmp_path/'to_input').symlink_to(folders[0])
    with pytest.raises(MotError, match='overwrite'): merge_folders(folders, tmp_path/'to_input')

STOPPED = '''
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)   # ignored where the tests run in the background
from mot_nb.student import merge_folders as m
*folders, out = sys.argv[1:]
real, calls = m.write_all, iter(range(10**9))
def slow(*a):
    if next(calls) == 4: print('writing', flush=True); time.sleep(2)
    real(*a)
m.write_all = slow
m.merge_folders(folders, out)
'''

@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT),
                                          (signal.SIGKILL, -signal.SIGKILL)])
def test_a_killed_merge_leaves_nothing_for_long(tmp_path, number, code):
    many = states(n=200_000)
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    before = hash_tensors(load(older(tmp_path/'out')))
    p = run(STOPPED, *folders, tmp_path/'out')
    assert p.stdout.readline() == 'writing\n', p.communicate()
    p.send_signal(number)
    p.communicate(timeout=60)
    assert p.returncode == code
    left = [q.name for q in tmp_path.iterdir() if q.name.startswith('.')]
    assert bool(left) == (number == signal.SIGKILL) and hash_tensors(load(tmp_path/'out')) == before
    merge_folders(folders, tmp_path/'out')
    assert sorted(q.name for q in tmp_path.iterdir()) == ['b0', 'b1', 'b2', 'out']
    assert hash_tensors(load(tmp_path/'out')) == hash_tensors(merge_states(many))

def test_only_leftovers_of_this_name_are_swept_and_none_that_is_in_use(tmp_path):
    import fcntl
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(states())]
    (tmp_path/'.out.abcdefgh.part').mkdir()
    others = [tmp_path/n for n in ('.out2.abcdefgh.part', '.out.notes.part', '.out', '.b0.abcdefgh.part',
                                   '.out.x.abcdefgh.part')]
    for p in others: p.mkdir()
    (tmp_path/'.out.inuse123.part').mkdir()
    fd = os.open(tmp_path/'.out.inuse123.part', os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    merge_folders(folders, tmp_path/'out')
    assert all(p.is_dir() for p in others) and (tmp_path/'.out.inuse123.part').is_dir()
    assert not (tmp_path/'.out.abcdefgh.part').exists()
    os.close(fd)

def test_a_student_caught_between_two_renames_comes_back(tmp_path):
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(states())]
    older(tmp_path/'.out.abcdefgh.old'/'x')
    bad = [folders[0], tmp_path/'absent']
    with pytest.raises(MotError): merge_folders(bad, tmp_path/'out')
    with pytest.raises(MotError): merge_folders(folders, tmp_path/'out', dtype='int8')
    (tmp_path/'.out.abcdefgh.old'/'x'/'notes.txt').write_text('mine')
    with pytest.raises(MotError, match='notes'): merge_folders(folders, tmp_path/'out')
    assert (tmp_path/'out'/'notes.txt').read_text() == 'mine'

# what goes with the weights -------------------------------------------------------------------------------------------
def test_further_chat_templates_are_carried(tmp_path):
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(states())]
    for f in folders:
        (f/'chat_template.jinja').write_text('{{ messages }}')
        (f/'additional_chat_templates').mkdir()
        (f/'additional_chat_templates'/'tool_use.jinja').write_text('{{ tools }}')
    (folders[2]/'additional_chat_templates'/'rag.jinja').write_text('{{ documents }}')
    report = merge_folders(folders, tmp_path/'out')
    assert [p.name for p in (tmp_path/'out'/'additional_chat_templates').iterdir()] == ['tool_use.jinja']
    assert report.notes == ('b2: another additional_chat_templates; that of b0 is kept',)
    merge_folders(folders[::-1], tmp_path/'out')
    assert sorted(p.name for p in (tmp_path/'out'/'additional_chat_templates').iterdir()) == ['rag.jinja',
                                                                                              'tool_use.jinja']

# files and tensors of any kind ----------------------------------------------------------------------------------------
@pytest.mark.parametrize('file', ['config.json', 'tokenizer.json', 'generation_config.json',
                                  'model.safetensors.index.json'])
@pytest.mark.parametrize('text', ['[]', 'null', '3', '', '{"a": ', '[' * 5000 + ']' * 5000, '{"weight_map": {"w": 3}}',
                                  '{"weight_map": [["w", ["x"]]]}'], ids=range(8))
def test_json_of_any_kind(tmp_path, file, text):
    a, b = (student(tmp_path/n, s, shards=2) for n, s in zip('ab', states(k=2)))
    if file == 'tokenizer.json': (a/file).write_text('{}')
    (b/file).write_text(text)
    try: merge_folders([a, b], tmp_path/'out')
    except MotError: assert not (tmp_path/'out').exists()
    else: assert file == 'generation_config.json' and 'weight_map' in text       # an object, whatever it says

@pytest.mark.parametrize('header', [
    {'w': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4, 8]}}, {'w': {'dtype': 'F32', 'shape': ['1'],
                                                                             'data_offsets': [0, 4]}},
    {'w': {'dtype': 'F32', 'shape': [-1, -1], 'data_offsets': [0, 4]}},
                                    {'w': {'dtype': 'F32', 'shape': [1], 'data_offsets': ['0', '4']}},
    {'w': {'dtype': 'F32', 'shape': None, 'data_offsets': [0, 4]}}, {'w': {'dtype': ['F32'], 'shape': [1],
                                                                           'data_offsets': [0, 4]}},
    {'w': [1, 2]}, {'w': {'dtype': 'F32', 'shape': [1.], 'data_offsets': [0, 4]}}, [], None])
def test_headers_of_any_kind(tmp_path, header):
    good, bad = student(tmp_path/'good', {'w': torch.ones(1)}), student(tmp_path/'bad', {'w': torch.ones(1)})
    text = json.dumps(header).encode()
    (bad/'model.safetensors').write_bytes(len(text).to_bytes(8, 'little') + text + bytes(4))
    with pytest.raises(MotError): merge_folders([good, bad], tmp_path/'out')

@pytest.mark.parametrize('length', [2**62, 2**63, 2**64 - 1, 10**12])
def test_header_lengths_of_any_size(tmp_path, length):
    good, bad = student(tmp_path/'good', {'w': torch.ones(1)}), student(tmp_path/'bad', {'w': torch.ones(1)})
    whole = (bad/'model.safetensors').read_bytes()
    (bad/'model.safetensors').write_bytes(length.to_bytes(8, 'little') + whole[8:])
    with pytest.raises(MotError, match='whole safetensors'): merge_folders([good, bad], tmp_path/'out')

@pytest.mark.parametrize('odd', [torch.zeros(3, device='meta'), torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr(),
                                 torch.zeros(3, dtype=torch.complex64),
                                 torch.quantize_per_tensor(torch.ones(3), .1, 0, torch.qint8),
                                 3., None, [1., 2.]], ids=str)
def test_tensors_of_any_kind(odd):
    for states_ in ([{'w': odd}]*2, [{'w': torch.ones(3)}, {'w': odd}]):
        with pytest.raises(MotError): merge_states(states_)
    with pytest.raises(MotError): merge_with_report([{'w': torch.ones(3)}]*2, base={'w': odd})

@pytest.mark.parametrize('bad', [['a', 'b'], [None, 1], .5, [[.5], [.5]], 'ab'])
def test_weights_of_any_kind(bad):
    with pytest.raises(MotError): merge_states([{'w': torch.ones(3)}]*2, bad)

def test_what_is_no_state_dict():
    for bad in ([1, 2], [[('w', torch.ones(1))]]*2):
        with pytest.raises(MotError): merge_states(bad)

def test_weights_by_name_find_their_branch():
    a, b = ({'w': torch.full((3,), x)} for x in (1., 2.))
    for weights in ({'a': .25, 'b': .75}, {'b': .75, 'a': .25}):
        assert torch.equal(merge_states({'a': a, 'b': b}, weights)['w'], torch.full((3,), 1.75))
        assert torch.equal(merge_states({'b': b, 'a': a}, weights)['w'], torch.full((3,), 1.75))

UNLIKE = {'lacks': lambda s: s.pop('model.layers.1.w'), 'has': lambda s: s.update(extra=torch.ones(2)),
          'of shape': lambda s: s.update({'model.layers.1.w': torch.ones(7)}),
          'integer': lambda s: s.update({'model.layers.1.w': torch.ones(5001, dtype=torch.int64)}),
          'buffer differs': lambda s: s.update(steps=torch.tensor([1, 2, 4]))}

@pytest.mark.parametrize('says', UNLIKE)
def test_branches_that_differ_in_one_thing_are_refused(tmp_path, says):
    "A missing tensor, one more, another shape, another kind, another buffer: each alone, in memory and in files."
    many = states()
    UNLIKE[says](many[1])
    with pytest.raises(MotError, match=says): merge_states(many)
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    with pytest.raises(MotError, match=says): merge_folders(folders, tmp_path/'out')
    assert not (tmp_path/'out').exists()

def test_a_branch_of_weight_0_leaves_no_trace(tmp_path):
    "Bit for bit the mean of the others, in memory and in files."
    many = states(k=4)
    right = hash_tensors(merge_states(many[:3]))
    assert hash_tensors(merge_states(many, [1/3, 1/3, 1/3, 0])) == right
    folders = [student(tmp_path/f'b{i}', s) for i, s in enumerate(many)]
    assert merge_folders(folders, tmp_path/'out', [1/3, 1/3, 1/3, 0]).output_hash == right

# operators ------------------------------------------------------------------------------------------------------------
def test_a_scale_is_a_factor_of_the_merged_update():
    from mot_nb.student.operators import dare, task_arithmetic, ties
    base, *branches = ({'w': torch.randn(500, generator=torch.Generator().manual_seed(i))} for i in range(4))
    for operator in (task_arithmetic, ties, dare):
        one, half = (operator(base, branches, scale=s)['w'] - base['w'] for s in (1., .5))
        torch.testing.assert_close(half, .5*one, rtol=1e-4, atol=1e-6)

def test_dare_drops_apart_in_every_branch_tensor_and_seed():
    "Equal updates of 1: each entry is kept by none, one or both of two branches, in no two tensors alike."
    from mot_nb.student.operators import dare
    base = {n: torch.zeros(4000) for n in 'xy'}
    moved = {k: {n: torch.ones(4000) for n in 'xy'} for k in ('a', 'b')}
    found = [dare(base, moved, drop=.5, seed=s)[n] for s in (0, 1) for n in 'xy']
    for t in found:
        assert t.unique().tolist() == [0., 1., 2.]
        assert abs(float((t == 1).float().mean()) - .5) < .05 > abs(float(t.mean()) - 1)
    assert all(float((found[i] == found[j]).float().mean()) < .5 for i in range(4) for j in range(i))

@pytest.mark.parametrize('rslora', [False, True])
def test_the_scale_of_an_adapter_is_peft_s(rslora):
    "alpha / r or alpha / sqrt(r), with other ranks and alphas of some modules."
    from peft import LoraConfig, get_peft_model
    from mot_nb.student.lora import lora_scale
    from mot_nb.student.models import byte_tokenizer, tiny_qwen3
    config = LoraConfig(r=4, lora_alpha=8, use_rslora=rslora, target_modules=['q_proj', 'v_proj', 'o_proj'],
                        rank_pattern={'q_proj': 2}, alpha_pattern={'v_proj': 3, 'layers.1.self_attn.q_proj': 5})
    model = get_peft_model(tiny_qwen3(len(byte_tokenizer())), config)
    layers = {n.removeprefix('base_model.model.'): m.scaling['default'] for n, m in model.named_modules()
              if isinstance(getattr(m, 'scaling', None), dict)}
    found = {n: lora_scale(n, config.to_dict()) for n in layers}
    assert found == pytest.approx(layers) and len(set(layers.values())) == 4


def test_branches_that_wait_on_disk_are_merged_as_those_in_memory(tmp_path):
    "Read a tensor at a time, many of one shape: memory that is given back is not taken for a tied weight."
    from safetensors.torch import save_file
    from mot_nb.core.hashes import hash_tensors
    from mot_nb.student.merge import merge_with_report
    from mot_nb.student.weight_files import MappedFile
    branches = [{f'layer.{i}.weight': torch.randn(40, 40) for i in range(30)} for _ in range(3)]
    for i, b in enumerate(branches): save_file(b, tmp_path/f'{i}.safetensors')
    class Lazy(dict):                       # a mapping of somebody else that gives copies
        def items(self): return ((k, self[k].clone()) for k in self)
    whole = hash_tensors(merge_with_report(branches, base=branches[0])[0])
    on_disk = [MappedFile(tmp_path/f'{i}.safetensors') for i in range(3)]
    for states in (on_disk, [Lazy(b) for b in branches]):
        assert hash_tensors(merge_with_report(states, base=branches[0])[0]) == whole
