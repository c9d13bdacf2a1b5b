"The loss on traces of held-out problems: what it is, what is refused, and that a killed run measures the same."
import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mot_nb.analysis.claims import gap
from mot_nb.answers.heldout_loss import heldout_difference, heldout_students, heldout_table
from mot_nb.core.errors import MotError
from mot_nb.core.files import read_lines
from mot_nb.core.settings import DataSettings, load_settings, settings_dict
from mot_nb.data.corpora import HELDOUT_FOLDER, render, write_corpus
from mot_nb.data.heldout_traces import heldout_traces
from mot_nb.data.pools import load_pool
from mot_nb.data.problems import write_problems
from mot_nb.data.toy import toy_corpora, toy_problems
from mot_nb.data.words import HELDOUT_TEMPLATES, pose
from mot_nb.methods.evaluation import Evaluation, heldout_row
from mot_nb.methods.runs import read_run, run
from mot_nb.student.students import load_student

SMALL = {'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose'], 'n_train': 8,
                                                   'n_heldout': 4},
         'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'compute': 'float32'}, 'rounds': {'rounds': 1},
         'eval': {'max_new_tokens': 16, 'loss_rows': 4, 'heldout_loss': True, 'n_heldout_traces': 6}}
ASKED = [{'id': f'p{i}', 'question': f'What is {i} + 3?', 'answer': str(i + 3), 'source': 'own'} for i in range(6)]
SAID = [{'problem_id': p['id'], 'teacher': 'me', 'prompt': p['question'] + ' Be brief.',
         'completion': f"Answer: {p['answer']}"} for p in ASKED]


def lines(rows): return ''.join(json.dumps(r) + '\n' for r in rows)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A small run with the loss on held-out traces; its folder."
    out = tmp_path_factory.mktemp('heldout')/'run'
    run(SMALL, out, progress=False)
    return out


@pytest.fixture
def own(tmp_path):
    "A pool folder: two teachers, one of whom has held-out traces."
    for part in ('teachers', HELDOUT_FOLDER): (tmp_path/part).mkdir()
    for name, rows in (('problems_train', ASKED[:3]), ('problems_heldout', ASKED[3:])):
        (tmp_path/f'{name}.jsonl').write_text(lines(rows))
    for teacher in ('me', 'you'):
        (tmp_path/'teachers'/f'{teacher}.jsonl').write_text(lines({**t, 'teacher': teacher} for t in SAID[:3]))
    (tmp_path/HELDOUT_FOLDER/'me.jsonl').write_text(lines(SAID[3:]))
    return tmp_path


def test_the_loss_is_that_of_transformers():
    "One trace: its part of the row is the cross-entropy that transformers gives for the completion, to 1e-5."
    model, tokenizer = load_student('toy-tiny')
    pool = load_pool(DataSettings(pool='toy', n_train=4, n_heldout=2))
    trace = heldout_traces(DataSettings(pool='toy'), n=1)['verbose'].traces[0]
    row = render(trace, tokenizer)
    e = Evaluation(pool, {'plain': [row]}, load_settings().eval, 0, held={'verbose': [row]})
    measured = e.loss_rows(model)[1]
    ids = torch.tensor([row.input_ids])
    labels = ids.clone()
    labels[:, :row.n_prompt] = -100
    with torch.no_grad(): loss = load_student('toy-tiny')[0](input_ids=ids, labels=labels).loss.item()
    assert (measured['metric'], measured['corpus'], measured['n']) == ('heldout_loss', 'verbose', 1)
    assert abs(measured['value'] - loss) < 1e-5 and measured['tokens'] == len(row) - row.n_prompt
    assert measured['traces'][0][0] == trace.problem_id and measured['lo'] is None


def test_rows_of_a_run(made):
    "Each student of each round has a row per teacher, on the same traces; off, a run has none, and accuracy is equal."
    rows = read_run(made).rows
    held = [r for r in rows if r['metric'] == 'heldout_loss']
    students = {r['student'] for r in rows}
    assert {(r['student'], r['corpus']) for r in held} == {(s, t) for s in students for t in ('plain', 'verbose')}
    assert len({tuple(p for p, _, _ in r['traces']) for r in held}) == 1 and all(r['n'] == 6 for r in held)
    trained = {p.question for p in load_pool(load_settings(SMALL).data, 0).train}
    asked = {t.problem_id: t.prompt for t in heldout_traces(load_settings(SMALL).data, 0, 6)['plain'].traces}
    assert set(asked) == {p for p, _, _ in held[0]['traces']} and not trained & set(asked.values())
    for r in held: assert r == {**r, **heldout_row(r['corpus'], [tuple(t) for t in r['traces']])}
    assert 'loss on held-out traces' in read_run(made).table().columns


def test_off_is_what_it_was(made, tmp_path):
    "Off by default: not written down, the same key of a measurement, the same other rows."
    assert 'heldout_loss' not in settings_dict(load_settings())['eval']
    off = {**SMALL, 'eval': {k: v for k, v in SMALL['eval'].items() if 'heldout' not in k}}
    result = run(off, tmp_path/'off', progress=False)
    assert result.rows == [r for r in read_run(made).rows if r['metric'] != 'heldout_loss']
    assert 'loss on held-out traces' not in result.table().columns


def test_asked_for_later(made, tmp_path):
    "A finished run that is asked for it afterwards has the rows of one that measured it from the start."
    off = {**SMALL, 'eval': {k: v for k, v in SMALL['eval'].items() if 'heldout' not in k}}
    run(off, tmp_path/'later', progress=False)
    assert run(SMALL, tmp_path/'later', progress=False).rows == read_run(made).rows


def test_paired_interval(made):
    "The difference of two students by hand: linearised by problem, a mean of two ratios, its t interval."
    students = heldout_students(read_run(made).rows)
    d = heldout_difference(students, 'mot', 'base')
    by_teacher = [[students[s][0][t] for s in ('mot', 'base')] for t in ('plain', 'verbose')]
    ratios, terms = [], []
    for a, b in by_teacher:
        gaps, tokens = np.array([a[p][0] - b[p][0] for p in a]), np.array([a[p][1] for p in a])
        ratios.append(gaps.sum()/tokens.sum())
        terms.append(len(a)*(gaps - ratios[-1]*tokens)/tokens.sum())
    x = np.mean(terms, 0)
    half = 2.570581836*x.std(ddof=1)/np.sqrt(6)                            # Student's t, 5 degrees of freedom
    np.testing.assert_allclose([d.value, d.lo, d.hi], np.mean(ratios) + np.array([0, -half, half]), rtol=1e-8)
    g = gap(read_run(made), 'mot', 'base', 'heldout_loss')
    assert (g.value, g.lo, g.hi) == pytest.approx((d.value, d.lo, d.hi)) and g.problems == 6
    assert heldout_table(read_run(made).rows).data[0]['student'] == 'base'


def broken(rows, at, **change): return [{**r, **change} if i == at else r for i, r in enumerate(rows)]


WRONG = {'of a training problem': (SAID[:1], 'problems that are not held out'),
         'of an unknown problem': (broken(SAID[3:], 0, problem_id='p99'), 'problems that are not held out'),
         'twice': (SAID[3:] + SAID[3:4], 'two held-out traces of one teacher'),
         'another answer': (broken(SAID[3:], 1, reference='77'), 'disagree about the right answer'),
         'another instruction': ([{**t, 'prompt': t['prompt'] + ' Hurry.'} for t in SAID[3:]], 'another instruction'),
         'empty': ([], 'left with no trace'), 'all wrong': ([{**SAID[3], 'completion': 'Answer: 99'}], 'no trace'),
         'no completion': (broken(SAID[3:], 0, completion=''), "'completion' is empty")}


@pytest.mark.parametrize('what', WRONG)
def test_hostile_files(own, what):
    rows, said = WRONG[what]
    (own/HELDOUT_FOLDER/'me.jsonl').write_text(lines(rows))
    with pytest.raises(MotError, match=said): heldout_traces(DataSettings(pool='folder', path=str(own)))


def test_files_of_nobody_and_questions_on_both_sides(own):
    data = DataSettings(pool='folder', path=str(own))
    (own/HELDOUT_FOLDER/'mee.jsonl').write_text(lines(SAID[3:]))
    with pytest.raises(MotError, match="mee"): heldout_traces(data)
    (own/HELDOUT_FOLDER/'mee.jsonl').rename(own/HELDOUT_FOLDER/'me.csv')
    with pytest.raises(MotError, match='no corpus'): heldout_traces(data)
    (own/HELDOUT_FOLDER/'me.csv').unlink()
    (own/'problems_heldout.jsonl').write_text(lines(broken(ASKED[3:], 0, question=ASKED[0]['question'], answer='3')))
    moved = {**SAID[0], 'problem_id': 'p3'}
    (own/HELDOUT_FOLDER/'me.jsonl').write_text(lines([moved]))
    with pytest.raises(MotError, match='training and in the held-out set'): heldout_traces(data)


def test_absent_is_no_error(own):
    "A teacher without a file is left out; wrong traces are dropped where the pool is filtered."
    data = DataSettings(pool='folder', path=str(own))
    (own/HELDOUT_FOLDER/'me.jsonl').write_text(lines(broken(SAID[3:], 0, completion='Answer: 99')))
    found = heldout_traces(data)
    assert list(found) == ['me'] and found['me'].dropped == {'wrong answer': 1} and len(found['me']) == 2
    assert len(heldout_traces(dataclasses.replace(data, filtered=False))['me']) == 3
    (own/'problems_heldout.jsonl').unlink()             # a pool that measures losses only: the traces name the problems
    assert len(heldout_traces(dataclasses.replace(data, n_heldout=0))['me']) == 3  # and no answer is known


def test_a_run_says_who_has_none(tmp_path, capsys):
    "A folder of toy traces where one of two teachers has held-out traces: rows of one, a line on the other."
    for part, split in (('teachers', 'train'), (HELDOUT_FOLDER, 'heldout')):
        problems = toy_problems(4, 0, split)
        write_problems(tmp_path/f'problems_{split}.jsonl', problems)
        for t, c in toy_corpora(problems, ['plain', 'verbose']).items(): write_corpus(tmp_path/part/f'{t}.jsonl', c)
    (tmp_path/HELDOUT_FOLDER/'verbose.jsonl').unlink()
    folder = {**SMALL, 'data': {'pool': 'folder', 'path': str(tmp_path), 'n_heldout': 0},
              'rounds': {'rounds': 1, 'methods': ['mot']}}
    rows = run(folder, tmp_path/'run').rows
    assert {r['corpus'] for r in rows if r['metric'] == 'heldout_loss'} == {'plain'}
    assert 'no loss on held-out traces of verbose' in capsys.readouterr().err


@pytest.mark.parametrize('pool', ('words', 'gsm'))
def test_what_ships(pool):
    "Both splits of a pool that ships as files; the pool's own hash does not know of them."
    for split in ('heldout', 'in_template'):
        data = DataSettings(pool=pool, split=split)
        found, asked = heldout_traces(data, n=40), load_pool(dataclasses.replace(data, n_heldout=3000)).heldout
        ids = {t: [x.problem_id for x in c.traces] for t, c in found.items()}
        assert len(found) >= 4 and len({tuple(x) for x in ids.values()}) == 1
        assert set(ids['equations']) <= {p.id for p in asked} and len(ids['equations']) == 40
    assert pose(HELDOUT_TEMPLATES, 150, 'heldout', 'words-heldout') == pose(
        HELDOUT_TEMPLATES, 170, 'heldout', 'words-heldout')[:150]


def test_a_killed_run_measures_the_same(made, tmp_path):
    "Killed after some measurements and resumed in a process of its own: every row is that of the undisturbed run."
    (tmp_path/'s.json').write_text(json.dumps(SMALL))
    code = ('import json, os, signal, sys\nfrom mot_nb.methods import ledger\nfrom mot_nb.methods.runs import run\n'
            'add, left = ledger.Ledger.add, [int(sys.argv[3])]\n'
            'def dying(self, *a, **k):\n    add(self, *a, **k)\n    left[0] -= 1\n'
            '    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n'
            'ledger.Ledger.add = dying\nrun(json.load(open(sys.argv[1])), sys.argv[2], progress=False)\n')
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    ask = [sys.executable, '-c', code, tmp_path/'s.json', tmp_path/'run']
    assert subprocess.run([*ask, '4'], env=env).returncode == -9
    there = [r for r in read_lines(tmp_path/'run/seed-0/ledger.jsonl') if r['stage'].startswith('measure')]
    assert there and not (tmp_path/'run/seed-0/metrics.jsonl').exists()
    assert run(SMALL, tmp_path/'run', progress=False).rows == read_run(made).rows


def test_a_record_keeps_the_traces(made, tmp_path):
    "The recorded run is read back with its traces, and a trace that was changed is found."
    from mot_nb.core.checks import Checks, Differs
    from mot_nb.methods.recorded import read_record, record_run
    from mot_nb.methods.run_record_checks import check_rows_alone
    path = record_run(made, tmp_path/'record.jsonl')
    rows, head = read_record(path)[0].rows, read_lines(path)[0]
    assert heldout_students(rows) == heldout_students(read_run(made).rows)
    check_rows_alone(head, rows, 'record', Checks())
    at = next(i for i, r in enumerate(rows) if r['metric'] == 'heldout_loss')
    rows[at]['traces'][0][1] += .5
    with pytest.raises(Differs): check_rows_alone(head, rows, 'record', Checks())
