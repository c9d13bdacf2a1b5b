"Variations of the method are arguments: the same hash on one process and on two ranks, also when killed and resumed."
import json, shutil

import pytest
import torch

from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.settings import load_settings
from mot_nb.methods.device import Device
from mot_nb.methods.lab import SeedLab
from mot_nb.methods.methods import merge_of_thought, one_shot, single_teacher, union
from mot_nb.methods.parts import OuterSGD
from mot_nb.methods.runs import run
from mot_nb.student.operators import mean

TINY = {'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose', 'foreign'],
                                                  'n_train': 12, 'n_heldout': 4},
        'train': {'lr': 1e-3, 'steps': 2, 'batch': 4, 'compute': 'float32'},
        'rounds': {'rounds': 3, 'methods': ['mot']},
        'eval': {'max_new_tokens': 8, 'loss_rows': 4}}
one_thread = pytest.fixture(autouse=True)(lambda: torch.set_num_threads(1))


def lab(folder, **changes):
    "A lab of one seed; changes of settings as group_key=value."
    settings = load_settings(TINY, [f'{k.replace("__", ".")}={v}' for k, v in changes.items()])
    return SeedLab(settings, folder, 0, Device(settings.student, settings.train, 'cpu', say=lambda text: None))


def carried_out(folder, method=merge_of_thought, changes=None, **parts):
    "The rows of a method with these parts."
    at = lab(folder, **changes or {})
    at.ask(method, **parts)
    at.carry_out()
    return at.metrics()


def hashes(rows): return {r['student']: r['hash'] for r in rows}


def by_hand(folder, rounds, teachers, merged):
    "MoT written out over branches: rounds of the teachers that `teachers(t)` names, merged by `merged(start, states)`."
    from mot_nb.core.hashes import derive_seed
    from mot_nb.student.branch import Branch
    at = lab(folder)
    weights = at.place.base
    for t in range(rounds):
        states = {}
        for k in teachers(t):
            b = Branch(at.place.model, at.rows[k], at.settings.train, 6, seed=derive_seed(0, 'order', k), state=weights,
                       step=2*t)
            b.train(2)
            states[k] = b.weights()
            b.close()
        weights = merged(weights, states)
    return hash_tensors(weights)


# ---- trials: an idea is a function of a few lines

def one_more(t, teachers): return teachers[:t + 1]


def test_one_more_teacher_each_round(tmp_path):
    found = hashes(carried_out(tmp_path/'a', introduce=one_more))
    wanted = by_hand(tmp_path/'b', 3, lambda t: ['plain', 'verbose', 'foreign'][:t + 1],
                     mean.__wrapped__ if hasattr(mean, '__wrapped__') else mean)
    assert found['mot-one_more-r3'] == wanted


@pytest.mark.parametrize('name', ['task_arithmetic', 'ties', 'dare'])
def test_operators_inside_rounds(tmp_path, name):
    from mot_nb.student.operators import OPERATORS
    found = hashes(carried_out(tmp_path/'a', merge=name))
    assert found[f'mot-{name}-r3'] == by_hand(tmp_path/'b', 3, lambda t: ['plain', 'verbose', 'foreign'],
                                              OPERATORS[name])


def test_weights_fitted_on_a_loss(tmp_path):
    "An operator that asks for the lab: branch weights that do best on rows of a corpus."
    def fitted(base, states, lab):
        rows = lab.rows['foreign'][:4]
        options = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1/3, 1/3, 1/3)]
        return min((mean(base, states, list(w)) for w in options), key=lambda s: lab.loss_of(s, rows))
    found = hashes(carried_out(tmp_path/'a', merge=fitted))
    again = hashes(carried_out(tmp_path/'b', merge=fitted))
    plain = hashes(carried_out(tmp_path/'c'))
    assert found == again and found['mot-fitted-r3'] != plain['mot-r3']


def test_outer_nesterov_equals_torch(tmp_path):
    "The student after each round is `torch.optim.SGD(nesterov=True)` on the pseudo-gradient."
    at = lab(tmp_path/'a')
    students = []
    def keeping(lab_):
        student = lab_.base
        for t in range(3):
            branches = [lab_.train(student, k) for k in lab_.teachers]
            merged = lab_.merge(branches, student)
            student = lab_.step(student, merged, OuterSGD(.7, .9))
            students.append((student, merged))
            lab_.mark(student, 'mine', round=t + 1)
    at.ask(keeping)
    at.maker.tidy = False
    at.carry_out()
    start = at.place.base
    theirs = {n: torch.nn.Parameter(t.clone()) for n, t in start.items()}
    sgd = torch.optim.SGD(theirs.values(), lr=.7, momentum=.9, nesterov=True)
    for student, merged in students:
        for n, p in theirs.items(): p.grad = p.detach() - at.weights(merged)[n]
        sgd.step()
        ours = at.weights(student)
        assert max(float((ours[n] - p.detach()).abs().max()) for n, p in theirs.items()) < 1e-6


def test_outer_step_of_one_is_mot(tmp_path):
    plain = hashes(carried_out(tmp_path/'a'))
    assert hashes(carried_out(tmp_path/'b', outer=OuterSGD(1.0, 0.0))) == plain


def test_a_curriculum(tmp_path):
    def shortest(step, total, rows): return sorted(rows, key=len)[:4]
    found, plain = hashes(carried_out(tmp_path/'a', rows=shortest)), hashes(carried_out(tmp_path/'b'))
    assert found['mot-shortest-r3'] != plain['mot-r3']
    assert hashes(carried_out(tmp_path/'c', rows='short_first')).keys() == {'base', *(f'mot-short_first-r{t}'
                                                                                      for t in (1, 2, 3))}


def test_an_own_operator(tmp_path):
    def median(base, states): return {n: torch.stack([s[n] for s in states.values()]).median(0).values for n in base}
    found = hashes(carried_out(tmp_path/'a', merge=median))
    assert found['mot-median-r3'] == by_hand(tmp_path/'b', 3, lambda t: ['plain', 'verbose', 'foreign'], median)


def test_an_own_method(tmp_path):
    "A method of a user's: start every round from the mean of the last two merges."
    def last_two(lab):
        students = [lab.base, lab.base]
        for t in range(lab.rounds):
            start = lab.merge(students[-2:], students[-1])
            students.append(lab.merge([lab.train(start, k) for k in lab.teachers], start))
            lab.mark(students[-1], 'last_two', round=t + 1)
    rows = carried_out(tmp_path/'a', last_two)
    plain = hashes(carried_out(tmp_path/'b'))
    found = hashes(rows)
    assert found['last_two-r1'] == plain['mot-r1'] and found['last_two-r2'] != plain['mot-r2']
    assert [r['branch_steps'] for r in rows if r['metric'] == 'loss'] == [0, 6, 12, 18]   # each step counted once


# ---- killed and resumed

PARTS = {'ties': dict(merge='ties'), 'dare': dict(merge='dare'), 'nesterov': dict(outer=OuterSGD(.7, .9)),
         'one_more': dict(introduce=one_more),
         'curriculum': dict(rows='short_first')}


@pytest.mark.parametrize('name', PARTS)
def test_killed_and_resumed(tmp_path, name):
    "The ledger cut after any line, what lay in memory lost: the same hashes."
    whole = hashes(carried_out(tmp_path/'a', **PARTS[name]))
    lines = (tmp_path/'a/ledger.jsonl').read_text().splitlines(keepends=True)
    for cut in range(1, len(lines), 4):
        out = tmp_path/f'cut-{cut}'
        shutil.copytree(tmp_path/'a', out)
        (out/'ledger.jsonl').write_text(''.join(lines[:cut]))
        assert hashes(carried_out(out, **PARTS[name])) == whole, lines[cut - 1][:80]


def test_a_missing_momentum_is_made_again(tmp_path):
    whole = hashes(carried_out(tmp_path/'a', outer=OuterSGD(.7, .9)))
    lines = (tmp_path/'a/ledger.jsonl').read_text().splitlines(keepends=True)
    at = next(i for i, l in enumerate(lines) if 'measure mot-nesterov' in l and '-r2' in l)
    shutil.copytree(tmp_path/'a', tmp_path/'b')
    (tmp_path/'b/ledger.jsonl').write_text(''.join(lines[:at + 1]))
    shutil.rmtree(tmp_path/'b/work', ignore_errors=True)
    assert hashes(carried_out(tmp_path/'b', outer=OuterSGD(.7, .9))) == whole


# ---- stages are shared, runs amended

def test_methods_share_what_they_share(tmp_path):
    "Single teachers and MoT in one lab: the first branches are trained once."
    at = lab(tmp_path/'a')
    for m in (single_teacher, merge_of_thought, one_shot): at.ask(m)
    at.carry_out()
    # STD 6 steps each; MoT rounds 2 and 3
    assert at.progress.done['step'] == at.progress.total['step'] == 3*6 + 2*3*2


def test_a_run_is_amended(tmp_path):
    "A method, rounds and a seed added later: the run that had them from the start."
    whole = run(load_settings(TINY, ['rounds.methods=std,mot', 'seeds=0,1']), tmp_path/'whole', progress=False)
    run(load_settings(TINY, ['rounds.rounds=1']), tmp_path/'more', progress=False)
    run(load_settings(TINY, ['rounds.rounds=3']), tmp_path/'more', progress=False)
    run(load_settings(TINY, ['rounds.methods=std']), tmp_path/'more', progress=False)
    again = run(load_settings(TINY, ['rounds.methods=std', 'seeds=1']), tmp_path/'more', progress=False)
    assert again.hash == whole.hash
    with pytest.raises(MotError) as e: run(load_settings(TINY, ['rounds.rounds=2']), tmp_path/'more', progress=False)
    assert 'rounds.rounds: there 3' in str(e.value)


def test_more_samples(tmp_path):
    "k from 1 to 2: the first sample of every problem is used again."
    sampled = ['eval.temperature=0.8', 'eval.k=1']
    run(load_settings(TINY, sampled), tmp_path/'r', progress=False)
    before = (tmp_path/'r/seed-0/samples/mot-r3.jsonl').read_text().splitlines()
    again = run(load_settings(TINY, [*sampled, 'eval.k=2']), tmp_path/'r', progress=False)
    after = (tmp_path/'r/seed-0/samples/mot-r3.jsonl').read_text().splitlines()
    assert set(before) <= set(after) and len(after) == 2*len(before) - 1 and {r['k'] for r in again.rows} == {None, 2}
    assert again.hash == run(load_settings(TINY, [*sampled, 'eval.k=2']), tmp_path/'whole', progress=False).hash


def test_another_environment_is_said(tmp_path):
    "Killed and resumed under another number of threads: listed, and the result says that it is not bit-exact."
    run(load_settings(TINY, ['rounds.rounds=1']), tmp_path/'r', progress=False)
    torch.set_num_threads(2)
    try: result = run(TINY, tmp_path/'r', progress=False)
    finally: torch.set_num_threads(1)
    manifest = json.loads((tmp_path/'r/manifest.json').read_text())
    assert [e['threads'] for e in manifest['environments']] == [1, 2] and 'not bit-exact' in str(result)


# ---- refused, never ignored

def test_weights_that_an_operator_would_ignore(tmp_path):
    with pytest.raises(MotError) as e:
        carried_out(tmp_path/'a', merge='ties', changes={'rounds__weights': '0.5,0.25,0.25'})
    assert 'takes no branch weights' in str(e.value)


@pytest.mark.parametrize('bad', [dict(merge='tie'), dict(merges='ties'), dict(introduce='everybody')])
def test_unknown_parts(tmp_path, bad):
    with pytest.raises(MotError): carried_out(tmp_path/'a', **bad)


ALPHA = 0.1


def pulled(base, states):
    return {n: (1 - ALPHA)*mean(base, states)[n] + ALPHA*base[n] if base[n].is_floating_point() else base[n]
            for n in base}


def test_a_changed_constant_is_another_run(tmp_path):
    "What an operator reads from around it belongs to what identifies it."
    global ALPHA
    first = hashes(carried_out(tmp_path/'a', merge=pulled))
    ALPHA = 0.9
    try: second = hashes(carried_out(tmp_path/'a', merge=pulled))
    finally: ALPHA = 0.1
    assert first['mot-pulled-r1'] != second['mot-pulled-r1'] and first['base'] == second['base']


def test_a_part_that_no_method_has(tmp_path):
    from mot_nb.app.explore import Lab
    at = Lab(load_settings(TINY), out=tmp_path/'lab', progress=False)
    with pytest.raises(MotError) as e: at.run(merge_of_thought, curriculum=one_more)
    at.close()
    assert 'curriculum' in str(e.value) and 'rows' in str(e.value)


PAIRS = """
import functools, sys, types
import torch
from ideas_helper import half, SETTINGS
import ideas_helper
from mot_nb.methods.parts import part
from mot_nb.student.operators import OPERATORS, ties

class Scaled:
    def __init__(self, by): self.by = by
    def merge(self, base, states): return self.by
    def __call__(self, base, states): return self.by

def in_keyword(by):
    def f(base, states, *, scale=by): return scale
    return f

def closed_over(by):
    def f(base, states): return by
    return f

def over_many(at, kind):
    t = torch.zeros(5000)
    t[2500] = at
    return closed_over(t if kind == 'tensor' else t.numpy() if kind == 'array' else {'a': [t]})

def wrapped(by):
    def inner(base, states): return states
    @functools.wraps(inner)
    def outer(base, states): return by
    return outer

HELD = types.SimpleNamespace(by=1)
def reads_object(base, states): return HELD.by
def reads_helper(base, states): return half(states)
def reads_module(base, states): return ideas_helper.half(states)
lambdas = [lambda base, states: 1, lambda base, states: 2]

def changed(what, name, value):
    "The keys of the readers before and after a change."
    readers, before = (reads_object, reads_helper, reads_module), getattr(what, name)
    first = [part(f, OPERATORS, 'merge').key for f in readers]
    setattr(what, name, value)
    second = [part(f, OPERATORS, 'merge').key for f in readers]
    setattr(what, name, before)
    return [x != y for x, y in zip(first, second)]

two = lambda make: [part(make(v), OPERATORS, 'merge').key for v in (1, 2)]
keys = {'method': two(lambda v: Scaled(v).merge), 'object': two(Scaled), 'keyword': two(in_keyword),
        'closure': two(lambda v: closed_over(Scaled(v))), 'wrapper': two(wrapped),
        'lambda': two(lambda v: lambdas[v - 1]),
        'partial': two(lambda v: functools.partial(ties, scale=v)),
        'set': two(lambda v: closed_over({'a', 'b', 'c', v})),
        **{k: two(lambda v: over_many(v, k)) for k in ('tensor', 'array', 'nested')}}
found = {'keys': keys, 'object': changed(HELD, 'by', 2), 'constant': changed(ideas_helper, 'BY', 2)}
"""


def test_all_that_a_part_reads_is_in_its_key(tmp_path):
    "State, keyword defaults, arguments of partials, imported helpers, every number of a tensor: two ideas, two keys."
    import os, subprocess, sys
    (tmp_path/'ideas_helper.py').write_text('BY, SETTINGS = 1, {}\ndef half(states): return BY\n')
    (tmp_path/'ideas.py').write_text(PAIRS + 'import json\nprint(json.dumps(found))\n')
    told = []
    for seed in '12':                                     # two processes: hashes of texts and addresses differ
        env = {**os.environ, 'PYTHONHASHSEED': seed}
        told.append(subprocess.check_output([sys.executable, tmp_path/'ideas.py'], env=env, text=True))
    found = json.loads(told[0])
    assert told[0] == told[1] and all(a != b for a, b in found['keys'].values()), found['keys']
    assert found['object'] == [True, False, False] and found['constant'] == [False, True, True]


def test_a_part_whose_value_has_no_key_is_refused():
    from mot_nb.methods.parts import part
    import threading
    lock = threading.Lock()
    def locked(base, states): return lock
    with pytest.raises(MotError, match='has no key') as e: repr(part(locked, {}, 'merge').key)
    assert 'options' in e.value.cure
    class Options:
        name, options = 'mine', (('by', 2),)
        def __call__(self, base, states): return states
    told = Options()
    told.lock = lock
    assert part(told, {}, 'merge').key[:2] == ['mine', [['by', 2]]]


# ---- every method against the same thing written out, with a schedule that goes on over all rounds

SCHEDULED = {'train__schedule': 'cosine', 'train__warmup': .25, 'rounds__mtd_budgets': '[depth,compute]'}


def trained(at, names, start, steps, step=0, total=6):
    "The student after some steps on these teachers' rows, through `Branch` alone."
    from mot_nb.core.hashes import derive_seed
    from mot_nb.student.branch import Branch
    name = names[0] if len(names) == 1 else 'union'
    b = Branch(at.place.model, [r for k in names for r in at.rows[k]], at.settings.train, total,
               seed=derive_seed(at.seed, 'order', name), state=start, step=step)
    b.train(steps)
    state = b.weights()
    b.close()
    return state


@pytest.mark.parametrize('seed', [0, 1])
def test_methods_by_hand(tmp_path, seed):
    "STD, MoT, MTD at two budgets and one-shot of three teachers: no teacher, step or seed is left out."
    settings = lab(tmp_path/'a', **SCHEDULED).settings
    at = SeedLab(settings, tmp_path/'a', seed, Device(settings.student, settings.train, 'cpu', say=lambda text: None))
    for m in (single_teacher, merge_of_thought, union, one_shot): at.ask(m)
    at.carry_out()
    found, base, names = hashes(at.metrics()), at.place.base, ['plain', 'verbose', 'foreign']
    assert at.teachers == names
    wanted = {f'std-{k}-r{t}': trained(at, [k], base, 2*t) for k in names for t in (1, 3)}
    wanted |= {f'mtd-depth-r{t}': trained(at, names, base, 2*t) for t in (1, 2, 3)}
    wanted |= {f'mtd-compute-r{t}': trained(at, names, base, 6*t, total=18) for t in (1, 3)}
    wanted['oneshot'] = mean(base, [wanted[f'std-{k}-r3'] for k in names])
    student = base
    for t in range(3):
        student = mean(student, [trained(at, [k], student, 2, step=2*t) for k in names])
        wanted[f'mot-r{t + 1}'] = student
    assert {k: found[k] for k in wanted} == {k: hash_tensors(s) for k, s in wanted.items()}


def test_kept_moments_make_one_teacher_s_rounds_one_training(tmp_path):
    "A merge of one branch changes nothing: with kept moments rounds are the single teacher's student, with fresh not."
    for kept in (True, False):
        at = lab(tmp_path/str(kept), data__teachers='[plain]', train__optimiser_state='kept' if kept else 'fresh')
        for m in (single_teacher, merge_of_thought): at.ask(m)
        at.carry_out()
        found = hashes(at.metrics())
        assert (found['mot-r3'] == found['std-plain-r3']) == kept and found['mot-r1'] == found['std-plain-r1']


def test_residual_adapters_leave_the_frozen_weights_as_they_were(tmp_path):
    "One teacher, adapters that go on: what the rounds add is all in the adapters, however many rounds there were."
    from safetensors.torch import load_file
    adapters = dict(train__lora_rank=2, train__lora_alpha=8, train__lora_merge='residual', train__lr=.01)
    at = lab(tmp_path/'a', data__teachers='[plain]', **adapters)
    students = []
    def keeping(lab_):
        student = lab_.base
        for t in range(3):
            student = lab_.merge([lab_.train(student, 'plain')], student)
            students.append(student)
            lab_.mark(student, 'mine', round=t + 1)
    at.ask(keeping)
    at.maker.tidy = False
    at.carry_out()
    for s in students[:2]:                                # the last one leaves no adapter
        state, adapter = at.weights(s), load_file(f"{at.maker.beside(s, 'adapter')}.safetensors")
        for m in {n[:-2] for n in adapter}:
            base, now = at.place.base[f'{m}.weight'], state[f'{m}.weight']
            frozen = now.double() - 4*(adapter[f'{m}.B'].double() @ adapter[f'{m}.A'].double())
            assert (frozen - base).abs().max() < 1e-6 < (now - base).abs().max()


# ---- what is another student, and another measurement

def test_what_makes_another_student(tmp_path):
    "Everything a student depends on is in its key, and nothing else."
    from mot_nb.methods.parts import part
    from mot_nb.student.operators import OPERATORS
    first = lab(tmp_path/'0', data__seed=0)
    def other(seed=0, **changes):
        settings = lab(tmp_path/'1', data__seed=0, **changes).settings
        return SeedLab(settings, tmp_path/'1', seed, first.place)
    branch = lambda at, **how: at.train(at.base, 'plain', **how).key
    same, cosine = other(), dict(train__schedule='cosine')
    assert branch(first) == branch(same) == branch(other(rounds__rounds=5)) == branch(other(train__checkpoint_every=1))
    def last_four(step, total, rows): return rows[-4:]
    keys = [branch(first), branch(first, rows='short_first'), branch(first, rows=last_four),
            branch(other(data__n_train=11)), branch(other(seed=1)),
            branch(other(train__lr=.002)), branch(other(**cosine)), branch(other(rounds__rounds=5, **cosine)),
            branch(first, steps=3), first.train(first.base, ['plain', 'verbose']).key]
    assert len(set(keys)) == len(keys)
    b = [first.train(first.base, k) for k in first.teachers]
    ties = lambda **o: part('ties', OPERATORS, 'merge', **o)
    merges = [first.merge(b), first.merge(b, b[0]), first.merge(b[:2]), first.merge(b, weights=[.5, .25, .25]),
              first.merge(b, by='ties'), first.merge(b, by=ties(density=.5)), first.merge(b, by=ties(density=.4))]
    outer = [first.step(first.base, merges[0], OuterSGD(*o)) for o in ((.7, .9), (.7, .8), (.6, .9), (1., .9))]
    assert len({s.key for s in merges + outer}) == len(merges) + len(outer)
    again = first.merge([first.train(merges[0], k) for k in first.teachers], merges[0])
    assert (merges[0].step, merges[0].work, again.step, again.work) == (2, 6, 4, 12)


def test_what_makes_another_measurement(tmp_path):
    key = lambda **changes: lab(tmp_path/'a', **changes).evaluation.key
    keys = [key(), key(data__n_heldout=3), key(eval__loss_rows=3), key(eval__max_new_tokens=9), key(data__seed=5)]
    assert len(set(keys)) == len(keys) and key(eval__batch=1) == key()
    assert [len(lab(tmp_path/'a', eval__loss_rows=n).evaluation.rows) for n in (2, 4)] == [2, 4]


def test_an_outer_rate_of_one_with_momentum_is_a_step(tmp_path):
    from mot_nb.methods.parts import outer_step, replace
    whether = [outer_step(OuterSGD(*o)).function is replace for o in ((1., 0.), (1., .9), (.7, 0.))]
    assert whether == [True, False, False]


def test_answers_of_a_changed_part_are_not_taken(tmp_path):
    "The same name in the same folder, another constant: made and asked anew, as in a folder of its own."
    global ALPHA
    carried_out(tmp_path/'a', merge=pulled)
    ALPHA = 0.9
    try: again, fresh = (carried_out(tmp_path/f, merge=pulled) for f in 'ab')
    finally: ALPHA = 0.1
    assert again == fresh


def test_a_student_made_again_otherwise_is_an_error(tmp_path):
    "A measurement on file is of other weights than the student that is made again."
    carried_out(tmp_path/'a')
    ledger = tmp_path/'a/ledger.jsonl'
    lines = [json.loads(l) for l in ledger.read_text().splitlines()]
    for r in lines:
        if r['stage'] == 'measure mot-r3': r['hash'] = 'f'*64
    ledger.write_text(''.join(json.dumps(r) + '\n' for r in lines if r['stage'] != 'merge mot-r3'))
    shutil.rmtree(tmp_path/'a/students')
    with pytest.raises(MotError, match='other weights'): carried_out(tmp_path/'a')


def test_a_row_that_does_not_read_back_stops_a_run(tmp_path):
    from mot_nb.methods.start_check import check_rows
    at = lab(tmp_path/'a')
    assert check_rows(at.pool.corpora, at.rows, at.place.tokenizer) == sum(map(len, at.rows.values()))
    rows = {**at.rows, 'verbose': [at.rows['plain'][0], *at.rows['verbose'][1:]]}
    with pytest.raises(MotError, match='does not read back'): check_rows(at.pool.corpora, rows, at.place.tokenizer)


def test_who_is_introduced_and_which_rows_are_met():
    "One teacher more each round; the shortest quarter first, every row from the middle of the schedule on."
    from mot_nb.methods import parts
    assert [parts.one_more(t, 'abc') for t in range(4)] == ['a', 'ab', 'abc', 'abc']
    rows = [(0,)*n for n in (5, 1, 4, 8, 2, 7, 3, 6)]
    met = [[len(r) for r in parts.short_first(step, 8, rows)] for step in range(8)]
    assert met[0] == [1, 2] and [len(m) for m in met] == [2, 4, 5, 6, 8, 8, 8, 8] and met[4] == list(range(1, 9))


def test_a_ledger_takes_no_other_result(tmp_path):
    "A stage done again must say the same in every field but its time; of two lines on file the first counts."
    from mot_nb.methods.device import OneProcess
    from mot_nb.methods.ledger import Ledger
    first = Ledger(tmp_path, OneProcess())
    first.add('k', 'train', hash='a'*64, log=[1, 2], seconds=1.)
    first.add('k', 'train under another name', hash='a'*64, log=[1, 2], seconds=2.)
    for other in (dict(hash='b'*64, log=[1, 2]), dict(hash='a'*64, log=[1, 3])):
        with pytest.raises(MotError, match='another result'): first.add('k', 'train', **other)
    line = json.dumps({'stage': 'train', 'key': 'k', 'hash': 'b'*64})
    with open(tmp_path/'ledger.jsonl', 'a') as f: f.write(line + '\n')
    assert Ledger(tmp_path, OneProcess())['k']['hash'] == 'a'*64
