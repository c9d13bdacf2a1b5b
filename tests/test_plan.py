"""The plan: shapes counted tensor by tensor, experts that are missing, predictions against recorded measurements, and
the paper's run as far as it can be tried without GPUs."""
import json, math, subprocess, time
from dataclasses import replace
from pathlib import Path

import pytest

import check_plan, house
from mot_nb.app.cli import main
from mot_nb.core.errors import MotError
from mot_nb.core.settings import load_settings
from mot_nb.student.students import student_folder
from mot_nb.student.toy_students import TOY_STUDENTS

PUBLISHED = {'Qwen3-0.6B': 596_049_920, 'Qwen3-1.7B': 1_720_574_976, 'Qwen3-4B': 4_022_468_096,
             'Qwen3-8B': 8_190_735_360, 'Qwen3-14B': 14_768_307_200,
             # exact counts of the models on the hub
             'Qwen3-32B': 32_762_123_264, 'Qwen3-30B-A3B': 30_532_122_624, 'smollm2-135m': 134_515_008}


@pytest.mark.parametrize('name', PUBLISHED)
def test_every_tensor_of_a_published_shape(name):
    "Names and shapes are those of the model that transformers builds, without memory, from the same configuration."
    import torch
    from transformers import AutoModelForCausalLM
    from mot_nb.scale.shapes import config_of, shape_of
    from mot_nb.scale.tensors import parameters, tensors
    with torch.device('meta'): model = AutoModelForCausalLM.from_config(config_of(name))
    assert {n: tuple(p.shape) for n, p in model.named_parameters()} == tensors(name, 'model')
    in_files = tensors(name)
    assert parameters(name) == PUBLISHED[name] == sum(math.prod(t) for t in in_files.values())
    s = shape_of(name)
    assert sum('.experts.' in n for n in in_files) == 3 * s.layers * s.experts


# sizes from the config.json of each model on the hub; counts from its card or its files
FAMILIES = {'qwen2': (dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                           num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True), 494_032_768),
            'mistral': (dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                             num_key_value_heads=8, vocab_size=32768), 7_248_023_552),
            'phi3': (dict(hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32,
                          num_key_value_heads=32, vocab_size=32064), 3_821_079_552),
            'gemma3_text': (dict(hidden_size=640, intermediate_size=2048, num_hidden_layers=18, num_attention_heads=4,
                                 num_key_value_heads=1, head_dim=256, vocab_size=262144), 268_098_176),
            'smollm3': (dict(hidden_size=2048, intermediate_size=11008, num_hidden_layers=36, num_attention_heads=16,
                             num_key_value_heads=4, vocab_size=128256), 3_075_098_624),
            'olmo2': (dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=16,
                           num_key_value_heads=16, vocab_size=100352), 1_484_916_736)}


@pytest.mark.parametrize('kind', FAMILIES)
def test_other_families(kind):
    "A published configuration of each other family: every tensor of the model that transformers builds from it."
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from mot_nb.scale.shapes import shape_of
    from mot_nb.scale.tensors import parameters, tensors
    sizes, numbers = FAMILIES[kind]
    config = AutoConfig.for_model(kind, **sizes, pad_token_id=0)
    with torch.device('meta'): model = AutoModelForCausalLM.from_config(config)
    s = shape_of({'model_type': kind, **sizes})          # as in config.json, where keys may be left out
    assert {n: tuple(p.shape) for n, p in model.named_parameters()} == tensors(s) == tensors(config)
    assert parameters(s) == numbers == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize('option, value', [('--memory', 'nan'), ('--rate', 'inf'), ('--tokens-per-second', 'nan')])
def test_numbers_that_no_machine_has(capsys, option, value):
    code, out, err = mot(capsys, 'plan', 'paper/qwen3-8b', '--gpus', 8, option, value)
    assert code == 1 and value in err, out + err


@pytest.fixture(scope='module')
def experts(tmp_path_factory):
    "Three tiny Qwen3-MoE branches as transformers saves them."
    import torch
    from transformers import AutoModelForCausalLM
    from mot_nb.scale.shapes import Shape, config_of
    from mot_nb.student.models import byte_tokenizer, save_student
    folder = tmp_path_factory.mktemp('experts')
    config = config_of(Shape('tiny-moe', 2, 32, 4, 2, 16, 48, 259, experts=6, experts_per_token=2, moe_intermediate=24))
    for i in range(3):
        torch.manual_seed(i)
        save_student(folder/f'branch{i}', AutoModelForCausalLM.from_config(config), byte_tokenizer())
    return folder


def without(folder, name):
    "Takes one tensor out of a student's file."
    from safetensors.torch import load_file, save_file
    state = load_file(folder/'model.safetensors')
    del state[name]
    save_file(state, folder/'model.safetensors', {'format': 'pt'})


def test_a_missing_expert_is_refused(experts, tmp_path, capsys):
    """Whole branches merge; where every branch lacks the same expert matrix the merge is refused and names it, and so
    is loading."""
    import shutil
    from mot_nb.scale.tensors import check_folder
    from mot_nb.student.students import load_student
    branches = [str(experts/f'branch{i}') for i in range(3)]
    assert check_folder(branches[0]) == 57
    assert main(['merge', str(tmp_path/'mean'), *branches]) == 0 and check_folder(tmp_path/'mean') == 57
    name = 'model.layers.1.mlp.experts.4.up_proj.weight'
    for b in branches:
        shutil.copytree(b, tmp_path/Path(b).name)
        without(tmp_path/Path(b).name, name)
    capsys.readouterr()
    assert main(['merge', str(tmp_path/'hole'), *(str(tmp_path/Path(b).name) for b in branches)]) == 1
    assert name in capsys.readouterr().err and not (tmp_path/'hole').exists()
    with pytest.raises(MotError, match='1 expert tensors missing'): check_folder(tmp_path/'branch0')
    with pytest.raises(MotError): load_student(str(tmp_path/'branch0'))


def test_predictions_against_measurements():
    """Memory and time of `Branch.train`, recorded in fresh processes, with and without checkpointing: within 20 % for
    three shapes. The toy's time, all small calls, is only within a factor of two, and shown as it is."""
    from mot_nb.scale.step_time import compare
    head, rows = check_plan.recorded_cases()
    found = compare(rows).data
    large = [r for r in found if r['student'] != 'toy-tiny']
    assert head['commit'] and len({r['student'] for r in large}) >= 3
    assert {r['checkpointing'] for r in large} == {True, False}
    near = lambda x: 1 / 1.2 <= x <= 1.2
    assert all(near(r['memory']) for r in found) and all(near(r['time']) for r in large) and all(.5 < r['time'] < 2
                                                                                                 for r in found), found


def test_layouts():
    "A layout that fits wins over one that does not, full ranks over idle ones, and the reason says so."
    from mot_nb.scale.options import better_layout
    from mot_nb.scale.memory import branch_and_rank_bytes, memory, HELD
    how = dict(micro_tokens=8192, compute='bfloat16', checkpointing=True)
    small, large = better_layout('Qwen3-0.6B', 8, 4, 80e9, **how), better_layout('Qwen3-14B', 8, 4, 80e9, **how)
    assert (small.name, small.branches, small.shards) == ('parallel', 4, 2)
    assert (large.name, large.branches) == ('2 at a time', 2) and 'would need' in large.reason
    three = better_layout('Qwen3-0.6B', 8, 3, 80e9, **how)
    assert three.name == 'serial' and 'idle' in three.reason
    none = better_layout('Qwen3-32B', 8, 4, 24e9, **how)
    assert not none.fits and 'no layout fits' in none.reason
    state, rank = branch_and_rank_bytes('Qwen3-8B', **how)
    assert abs(state / 4 + rank - memory('Qwen3-8B', shards=4, mesh=True, held=HELD['cuda'], **how).total) < 1


def mot(capsys, *argv):
    "Exit code, output and errors of a command."
    code = main([str(a) for a in argv])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_dry_run_of_the_paper(capsys, monkeypatch, tmp_path):
    "Every profile of the paper is planned and checked without network and weights; what could not be checked is said."
    import socket
    def refused(*a, **k): raise AssertionError('the dry run asked for a network')
    monkeypatch.setattr(socket.socket, 'connect', refused)
    for file in sorted((house.ROOT/'data'/'profiles'/'paper').glob('*.yaml')):
        s = load_settings(file)
        assert (s.rounds.rounds, s.train.steps, s.train.batch, len(s.data.teachers), s.eval.k) == (5, 50, 64, 4, 16)
    code, out, err = mot(capsys, 'plan', house.ROOT/'data'/'profiles'/'paper'/'qwen3-8b.yaml', '--gpus', 8,
                         '--tokens-per-second', 2000, '--dry-run')
    assert code == 0, out + err
    assert 'the dry run passes' in out and out.count('not checked') >= 3 and 'rows: s1k-1.1' in out
    assert '16 x 60 problems' in out
    code, out, err = mot(capsys, 'plan', 'paper/qwen3-8b', '--gpus', 8, '--memory', 24, '--dry-run')
    assert code == 1 and 'DOES NOT FIT' in out
    assert mot(capsys, 'plan', 'paper/qwen3-8b', '--gpus', 0)[0] == 1


def test_dry_run_reads_the_data_where_they_are(capsys, tmp_path, monkeypatch):
    "With a folder of traces at hand they are read, and a broken line stops the dry run with its number."
    import shutil
    monkeypatch.chdir(tmp_path)
    shutil.copytree(house.ROOT/'data'/'launch'/'rows'/'boba', tmp_path/'boba-200')
    (tmp_path/'boba-200'/'problems_heldout.jsonl').write_text(json.dumps({'id': 'a', 'question': 'What is 2 + 2?',
                                                                          'answer': '4', 'source': 'made'}) + '\n')
    code, out, err = mot(capsys, 'plan', 'paper/qwen3-8b', '--gpus', 8, '--dry-run')
    assert code == 0 and 'deepseek-r1     3 traces' in out and '1 problems' in out, out + err
    with open(tmp_path/'boba-200'/'teachers'/'qwq-32b.jsonl', 'a') as f:
        f.write('{"prompt": "2+2?", "solutions": ["4"]}\n')
    code, out, err = mot(capsys, 'plan', 'paper/qwen3-8b', '--gpus', 8, '--dry-run')
    assert code == 1 and 'line 4' in out + err


def test_saved_plans_are_those_of_the_profile_that_ships(capsys):
    "The pages that show a plan were run after the last change of its profile."
    assert main(['plan', 'paper/qwen3-8b', '--gpus', '8', '--memory', '80', '--tokens-per-second', '2000']) == 0
    fresh = capsys.readouterr().out.splitlines()[1]
    for page in ('app/25_cli', 'paper/58_eight_gpus'):
        saved = [l.rstrip() for c in json.loads((house.ROOT/'nbs'/f'{page}.ipynb').read_text())['cells']
                 for o in c.get('outputs', ()) for l in o.get('text', ()) if l.startswith('-> ')]
        assert saved == [fresh], f'{page}: run this notebook again'


def test_plan_of_this_machine(capsys):
    "Without --gpus the machine itself is measured, and rows at hand are counted, not bounded."
    code, out, err = mot(capsys, 'plan', 'smoke/toy', 'eval.k=2')
    assert code == 0 and 'measured on the rows' in out and 'measured here' in out and 'not counted' in out, out + err


@pytest.mark.parametrize('file, processes, machines', [('eight-gpus.yaml', 8, 1), ('two-nodes.yaml', 16, 2)])
def test_accelerate_reads_its_configurations(file, processes, machines):
    from accelerate.commands.config.config_args import load_config_from_file
    c = load_config_from_file(str(house.ROOT/'data'/'launch'/file))
    assert (c.num_processes, c.num_machines, c.mixed_precision, c.use_cpu) == (processes, machines, 'no', False)


def test_slurm_script():
    "The script is bash, and the launcher's line is put together as meant when Slurm's own commands are replaced."
    script = house.ROOT/'data'/'launch'/'run.slurm'
    assert subprocess.run(['bash', '-n', str(script)]).returncode == 0
    stand_in = """scontrol() { echo node-a; echo node-b; }
        srun() { while [[ $1 == --* ]]; do shift; done; "$@"; }
        export -f scontrol srun
        torchrun() { printf "%s " "$@"; }
        export -f torchrun
        exec() { "$@"; }
        export -f exec
    """
    done = subprocess.run(['bash', '-c', stand_in + f'source {script} a.yaml train.lr=2e-5'], capture_output=True,
                          text=True,
                          env={'PATH': '/usr/bin:/bin', 'SLURM_JOB_NODELIST': 'node-[a-b]', 'SLURM_JOB_ID': '7',
                               'SLURM_NNODES': '2', 'SLURM_NODEID': '1', 'SLURM_GPUS_ON_NODE': '8'})
    assert done.stdout.split() == ['--nnodes=2', '--node_rank=1', '--nproc_per_node=8', '--master_addr=node-a',
                                   '--master_port=20007', '-m', 'mot_nb', 'run', 'a.yaml', 'train.lr=2e-5'], done.stderr


def test_slurm_queues_again_at_the_time_limit(tmp_path):
    "TERM to the batch shell, as Slurm sends it: the job is queued again once, its step ended; a failing step is not."
    def started(step, name):
        log = tmp_path/name
        for tool, body in {'scontrol': f'[[ $1 == requeue ]] && echo "$@" >> {log} || echo node-a',
                           'srun': 'while [[ $1 == --* ]]; do shift; done; exec "$@"', 'torchrun': step}.items():
            (tmp_path/tool).write_text(f'#!/bin/bash\n{body}\n')
            (tmp_path/tool).chmod(0o755)
        env = {'PATH': f'{tmp_path}:/usr/bin:/bin', 'SLURM_JOB_NODELIST': 'node-a', 'SLURM_JOB_ID': '7',
               'SLURM_NNODES': '1', 'SLURM_NODEID': '0'}
        job = subprocess.Popen(['bash', str(house.ROOT/'data'/'launch'/'run.slurm'), 'a.yaml'], env=env,
                               stdout=subprocess.PIPE, text=True)
        return job, log
    job, log = started(f'touch {tmp_path}/works; exec sleep 60', 'limit')
    while not (tmp_path/'works').exists(): time.sleep(.05)
    job.terminate()
    assert job.wait(20) != 0 and 'queued again' in job.stdout.read()
    assert log.read_text() == 'requeue 7\n'
    job, log = started('exit 3', 'failed')
    assert job.wait(20) == 3 and not log.exists()
    job, log = started('exit 0', 'done')
    assert job.wait(20) == 0 and not log.exists()


def test_every_student_made_here_can_be_planned():
    "The shape that the plan knows by name is that of the student's folder."
    from mot_nb.scale.shapes import shape_of
    for name in TOY_STUDENTS: assert replace(shape_of(student_folder(name)), name=name) == shape_of(name)
