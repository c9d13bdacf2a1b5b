"The world of programs: many are right, splits are apart, a run and a bench carry it from end to end and agree."
import random, shutil
from itertools import product
from pathlib import Path

import pytest
import torch

from mot_nb.app.cli import main
from mot_nb.app.explore import Lab
from mot_nb.app.verify import verify
from mot_nb.core.errors import MotError
from mot_nb.core.seals import write_seal
from mot_nb.core.settings import DataSettings, load_settings, profile_settings
from mot_nb.data.pools import load_pool
from mot_nb.data.problems import answer_said, is_correct
from mot_nb.data.program_worlds import held_out_programs, program_names, program_pool
from mot_nb.data.programs import (PROGRAM_SPLITS, PROGRAM_TEACHERS, Task, program_problems, read_program, run_program,
                                  task_of, write_program)
from mot_nb.data.toy import OPERATIONS, WORDS
from mot_nb.data.worlds import ERRORS, World
from mot_nb.methods.device import Device
from mot_nb.methods.lab import SeedLab
from mot_nb.methods.methods import METHODS
from mot_nb.methods.run_answers import run_answers, teacher_solutions
from mot_nb.methods.runs import read_run
from mot_nb.methods.stacked_labs import Bench, Exam, StackedLab, exam_rows, examine, make_together
from mot_nb.student.loss import corpus_loss
from mot_nb.student.stacked import flatten, unflatten
from mot_nb.student.toy_students import shipped_file

PROGRAMS = ['data.pool=programs', 'student.name=programs-tiny', 'data.teachers=forward,minus,backward',
            'data.n_train=24', 'data.n_heldout=16', 'rounds.rounds=2', 'train.steps=2', 'train.batch=4', 'seeds=0',
            'train.lr=2e-3']


def test_right_is_what_passes_and_nothing_else():
    "Against a second reckoning: affine functions by their coefficients."
    names = {'plus': lambda a, b, k: (a, b + k), 'minus': lambda a, b, k: (a, b - k),
             'times': lambda a, b, k: (a * k, b * k)}
    single = [(op, k) for op in OPERATIONS for k in OPERATIONS[op]]
    rng, right = random.Random(0), 0
    for p in program_problems(40, 1):
        task = task_of(p.question)
        for program in [rng.choice(list(product(single, repeat=2))) for _ in range(50)]:
            a, b = 1, 0
            for op, k in program: a, b = names[op](a, b, k)
            passes = all((a * x + b) % 10 == y for x, y in task.tests)
            right += passes
            assert is_correct(p.answer, 'Answer: ' + ' '.join(f'{op} {k}' for op, k in program)) == passes
    assert right > 5


NO_PROGRAMS = ('', 'Answer:', 'Answer: 8', 'plus 5', 'Answer: plus', 'Answer: plus 5 ;', 'Answer: plus 12',
               'Answer: over 5',
               'Answer: plus 1 plus 1 plus 1 plus 1 plus 1', 'Answer: plus 5 Answer:', '<think>Answer: plus 5</think>',
               'Answer: plus ٥', 'Answer: plus -5')


@pytest.mark.parametrize('text', NO_PROGRAMS)
def test_what_is_no_program_is_wrong(text):
    assert not is_correct('toy-program: 3>8 4>9', text) and is_correct('toy-program: 3>8 4>9', 'Answer: plus 5')


@pytest.mark.parametrize('reference', ('toy-program: 3', 'toy-program: 3>x', 'toy-program:', 'toy-program: 3>8 3>9'))
def test_a_reference_without_tests_is_refused(reference):
    with pytest.raises(MotError, match='no tests'): is_correct(reference, 'Answer: plus 5')


def test_splits_and_both_held_out_sets_are_apart():
    tests = {s: {frozenset(task_of(p.question).tests) for p in program_problems(500, 3, s)} for s in PROGRAM_SPLITS}
    for a, b in (('train', 'heldout'), ('train', 'pretrain'), ('heldout', 'pretrain')): assert not tests[a] & tests[b]
    reported, choosing = held_out_programs(150)
    assert len({p.question for p in (*reported, *choosing)}) == 300
    assert program_problems(9, 3) == program_problems(500, 3)[:9] != program_problems(9, 4)
    for wrong in (dict(n=0), dict(n=True), dict(n=9, split='test')):
        with pytest.raises(MotError): program_problems(**wrong)


@pytest.mark.parametrize('teacher', PROGRAM_TEACHERS)
def test_teachers_are_right_and_speak_the_toys_words(teacher):
    for p in program_problems(200, 5):
        text = write_program(teacher, task_of(p.question), random.Random(0))
        assert is_correct(p.answer, text) and set((p.question + ' ' + text).split()) <= set(WORDS)


def test_strategies_differ():
    tasks = [task_of(p.question) for p in program_problems(100)]
    of = lambda t: [tuple(read_program(write_program(t, task, random.Random(0)))) for task in tasks]
    four = [of(t) for t in ('forward', 'minus', 'backward', 'threes')]
    assert all(sum(x != y for x, y in zip(a, b)) > 20 for i, a in enumerate(four) for b in four[:i])


def test_votes_count_what_programs_do():
    p = Task(((3, 8), (4, 1)))
    texts = ('times 3 plus 9', 'plus 3 times 3', '* 3 - 1', 'plus 5', '8')
    said = [answer_said(p.reference, f'Answer: {t}') for t in texts]
    assert said == ['8 1', '8 1', '8 1', '8 9', None] and run_program([('plus', 5)], 4) == 9


@pytest.mark.parametrize('errors', ERRORS)
def test_dials(errors):
    world = World(4, 'own', errors, traces=60)
    kept, filtered = program_pool(world, 1), program_pool(World(4, 'own', errors, filtered=True, traces=60), 1)
    right = {t: sum(is_correct(x.reference, x.completion) for x in c.traces) for t, c in kept.corpora.items()}
    assert list(right) == program_names(world) and all(len(c) == 60 for c in kept.corpora.values())
    assert right == {t: len(c) for t, c in filtered.corpora.items()}
    assert set(right.values()) == {60} if errors == 'none' else min(right.values()) < 55
    assert program_pool(world, 1).corpora == kept.corpora and program_pool(world, 2).corpora != kept.corpora


def test_a_pool_of_a_run():
    for split in ('heldout', 'in_template'):
        two = ('minus', 'threes')
        pool = load_pool(DataSettings(pool='programs', teachers=two, n_train=30, n_heldout=20, split=split))
        assert list(pool.corpora) == ['minus', 'threes'] and len(pool.heldout) == 20 and len(pool.train) == 30
        assert not {p.question for p in pool.train} & {p.question for p in pool.heldout}
    with pytest.raises(MotError, match='forward'): load_pool(DataSettings(pool='programs', teachers=('forwards',)))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A run of the command line, and its folder."
    out = tmp_path_factory.mktemp('programs')/'run'
    assert main(['run', 'smoke/toy', *PROGRAMS, '--out', str(out)]) == 0
    return out


def test_a_run_from_end_to_end(made):
    "Trained, answered, marked by the verifier, and checked again from the files."
    answers = run_answers(read_run(made), rounds='all')
    problems = {p.id: p for p in answers.problems}
    every = [(problems[i], m) for by in answers.of.values() for i, ms in by.items() for m in ms]
    right = [m.mark == 'right' for _, m in every]
    assert right == [is_correct(p.answer, m.text) for p, m in every] and set(right) == {True, False}
    first = answers.problems[0]
    taught = teacher_solutions(read_run(made), first)
    assert len(taught) == 3 and all(is_correct(first.answer, t) for t in taught.values())
    found = verify(made)
    assert found.ok and found.counts['answers'] > 100, found


def test_a_wrong_mark_is_found(made, tmp_path):
    "A program put in the place of another changes the score that the run says it has."
    out = Path(shutil.copytree(made, tmp_path/'run'))
    file = next(f for f in sorted(out.glob('seed-*/samples/*.jsonl')) if 'Answer: ' in f.read_text())
    file.write_text(file.read_text().replace('Answer: ', 'Answer: plus 1 plus 1 plus 1 plus 1 '))
    for folder in out.glob('seed-*'): write_seal(folder)                    # as somebody would who hides it
    assert not verify(out, train=False).ok


def test_a_lab_of_programs(tmp_path):
    lab = Lab('programs', 'data.n_train=16', 'data.n_heldout=8', 'train.batch=4', out=tmp_path/'lab', progress=False)
    taught = lab.student.learn_from('minus', steps=2)
    said = taught.answers(8).of[taught.name]
    right = [is_correct(p.answer, said[p.id][0].text) for p in lab.pool.heldout]
    assert taught.accuracy().value == sum(right)/8


def test_a_bench_equals_the_ordinary_path(tmp_path):
    "Every student of every method: its loss to 1e-5 nats, its weights to a thousandth of what they moved, its marks."
    settings = load_settings(profile_settings('smoke', 'toy', PROGRAMS))
    bench = Bench('programs-tiny', 0)
    lab = StackedLab(bench, load_pool(settings.data, 0), settings, 0)
    alone = SeedLab(settings, tmp_path/'run', 0, Device(settings.student, settings.train, 'cpu'))
    for name in METHODS:
        lab.ask(name)
        alone.ask(name)
    alone.maker.tidy = False
    alone.carry_out()
    make_together([lab])
    exam = examine([lab], Exam(lab.pool.heldout, settings.eval.max_new_tokens))
    keys = {str(m.label): m.student.key for m in lab.marks}
    base, rows = bench.made[bench.base_key], [r for t in lab.teachers for r in lab.rows[t]]
    for m in alone.marks:
        found, expected = bench.made[keys[str(m.label)]], alone.weights(m.student)
        flat = flatten(bench.shape, expected)
        assert (found - flat).norm() <= 1e-3 * (flat - base).norm()
        with bench.answering(expected) as model: loss = corpus_loss(model, rows)['value']
        torch.testing.assert_close(bench.loss_of(unflatten(bench.shape, found), rows), loss, rtol=0, atol=1e-5)
    ordinary = {r['student']: r['value'] for r in alone.metrics() if r['metric'] == 'accuracy'}
    assert {r['student']: r['value'] for r in exam_rows(lab, exam)} == pytest.approx(ordinary, abs=1/16)
    for k in exam.said:
        assert exam.marks[k] == [is_correct(p.answer, t) for p, t in zip(lab.pool.heldout, exam.said[k])]


def test_the_base_student_ships_and_can_do_a_part():
    for seed in (0, 1):
        assert shipped_file('programs', seed).is_file()
        bench = Bench('programs-tiny', seed)
        lab = StackedLab(bench, program_pool(World(1, traces=10)), load_settings({}), 0)
        exam = examine([lab], Exam(held_out_programs(60)[1]))
        assert .15 <= sum(exam.marks[bench.base_key])/60 <= .6
