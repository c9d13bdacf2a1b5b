"A lab for trying things: its folder, what a failing idea leaves, the labels of ideas, what is refused early."
import functools, json, os, re, subprocess, sys

import pytest
import torch

from mot_nb.app.explore import Lab, merge
from mot_nb.core.errors import MotError
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.settings import load_settings
from mot_nb.methods.methods import merge_of_thought
from mot_nb.methods.parts import part
from mot_nb.student.operators import mean
from test_methods import TINY, hashes

one_thread = pytest.fixture(autouse=True)(lambda: torch.set_num_threads(1))
SMALL = {**TINY, 'name': 'lab for tests', 'rounds': {'rounds': 1}}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    "A cache of its own."
    monkeypatch.setenv('MOT_CACHE', str(tmp_path/'cache'))
    return tmp_path/'cache'


def opened(out=None, **changes):
    "A small lab."
    settings = load_settings(SMALL, [f'{k.replace("__", ".")}={v}' for k, v in changes.items()])
    return Lab(settings, out=out, device='cpu', progress=False)


def test_a_second_lab_takes_over_the_folder(cache, capsys):
    "The same settings again in one process: the same folder, nothing said; while another process holds it: said."
    first = opened()
    second = opened()
    assert first.out == second.out and str(cache) in second.out and not capsys.readouterr().out
    for making in (lambda: first.run(merge_of_thought), lambda: first.student.learn_from('plain', steps=1)):
        with pytest.raises(MotError, match='this lab is closed'): making()
    assert first.student.weights()
    with second: pass
    hold = f'''
from mot_nb.methods.manifest import only_process
with only_process({first.out!r}): print('held', flush=True), input()
'''
    p = subprocess.Popen([sys.executable, '-c', hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         env=os.environ)
    assert p.stdout.readline() == 'held\n'
    third = opened()
    said = capsys.readouterr().out
    p.communicate('\n')
    third.close()
    assert third.out != first.out and third.out in said and first.out in said and said.count('\n') == 1
    with opened() as fourth: assert fourth.out == first.out


def test_an_operator_gets_a_dict_of_its_own_to_write_into(tmp_path):
    "Wherever branches wait: what it writes into its start is in the merge, and not in the start."
    def nudged(base, states):
        whole = {} | base
        for t in whole.values(): t.add_(1)
        return base.copy()
    found = {}
    for where in ('memory', 'disk'):
        with opened(tmp_path/where, rounds__branches=where) as lab:
            before = {n: t.clone() for n, t in lab.student.weights().items()}
            found[where] = hashes(lab.run(merge_of_thought, merge=nudged).rows)['mot-nudged-r1']
            assert all(torch.equal(lab.student.weights()[n], t) for n, t in before.items())
    assert found['memory'] == found['disk'] == hash_tensors({n: t + 1 for n, t in before.items()})


def test_a_failing_method_leaves_the_lab_as_it_was(tmp_path):
    "What it asked for is forgotten: the next method runs, and its result has nothing of it."
    def broken(base, states): raise ValueError('broken')
    with opened(tmp_path/'lab') as lab:
        with pytest.raises(ValueError, match='broken'): lab.run(merge_of_thought, merge=broken)
        assert [str(m.label) for m in lab.marks] == ['base'] and not lab.saved and not lab.maker.pending
        assert {r['student'] for r in lab.run(merge_of_thought).rows} == {'base', 'mot-r1'}


def test_a_refused_call_leaves_the_results(tmp_path):
    "A typo in a method, a part or its value: said before anything of a finished run is taken away."
    with opened(tmp_path/'lab') as lab:
        lab.run(merge_of_thought)
        file = tmp_path/'lab'/'seed-0'/'metrics.jsonl'
        before = file.read_text()
        for methods, parts in ((['mott'], {}), ([merge_of_thought], {'merges': 'ties'}),
                               ([merge_of_thought], {'merge': 'tie'})):
            with pytest.raises(MotError, match='unknown'): lab.run(*methods, **parts)
        assert file.exists() and file.read_text() == before


def test_a_merge_starts_where_its_round_began(tmp_path):
    "Without a start: of a branch its path's, of a merge and an outer step their own, of the base itself."
    with opened(tmp_path/'lab') as lab:
        branches = [lab.train(lab.base, t) for t in lab.teachers]
        first = lab.merge(branches)
        second = lab.merge([lab.train(first, t) for t in lab.teachers])
        stepped = lab.step(first, second, {'lr': .7, 'momentum': 0})
        assert first.base is lab.base and second.base is first
        for student, start in ((second, first), (stepped, first), (lab.base, lab.base), (branches[0], lab.base)):
            assert lab.merge([student, branches[1]], by='ties').base is start
        assert merge(b for b in branches).key == first.key
    for nothing in ([], ()):
        with pytest.raises(MotError, match='nothing to merge'): merge(nothing)
        with pytest.raises(MotError, match='nothing to merge'): lab.merge(nothing)


def test_no_step_is_refused(tmp_path):
    "0 steps are no steps of the settings; a student is not trained back."
    with opened(tmp_path/'lab') as lab:
        branch = lab.train(lab.base, 'plain', 3)
        assert branch.step == 3 and lab.train(branch, 'plain').step == 3 + lab.steps
        for how in (dict(steps=0), dict(steps=-1), dict(until=0), dict(until=3), dict(until=2)):
            with pytest.raises(MotError, match='no step to train'): lab.train(branch, 'plain', **how)


def test_a_union_of_fewer_steps_than_rounds(tmp_path):
    "Its first round is one step, and no whole branch."
    from mot_nb.methods.methods import union
    how = dict(rounds__rounds=9, rounds__mtd_budgets='[branch]', data__teachers='[plain, verbose]')
    with opened(tmp_path/'lab', **how) as lab:
        lab.ask(union)
        assert [m.student.step for m in lab.marks[1:]] == [1, 1, 1, 2, 2, 3, 3, 4, 4]


def changed_norm(base, change):
    "Weights with one tensor replaced by what a function makes of it."
    name = 'model.norm.weight'
    return {**base, name: change(base[name])}


BAD = {'a list': lambda b, s: list(b.values()), 'too many': lambda b, s: {'model.norm.weight': b['model.norm.weight']},
       'not torch': lambda b, s: changed_norm(b, lambda t: t.double()),
       'float32 (32,)': lambda b, s: changed_norm(b, lambda t: t[None]),
       'not finite': lambda b, s: changed_norm(b, lambda t: t * float('nan')),
       'is a float': lambda b, s: changed_norm(b, lambda t: 1.)}


def test_what_an_idea_gives_is_looked_at(tmp_path):
    "An operator's weights and an outer step's: no dict, other names, kinds and shapes, NaN; the idea is named."
    with opened(tmp_path/'lab') as lab:
        branches = [lab.train(lab.base, t) for t in lab.teachers]
        for word, gives in BAD.items():
            def mine(base, states, gives=gives): return gives(base, states)
            student = lab.merge(branches, by=mine)
            with pytest.raises(MotError, match='mine') as e: lab.weights(student)
            assert 'merge mine' in str(e.value) and word.split()[-1] in e.value.values, (word, e.value)
        stepped = lab.step(lab.base, lab.merge(branches), lambda before, merged: merged.double())
        with pytest.raises(MotError, match='step lambda'): lab.weights(stepped)


def test_a_curriculum_that_leaves_no_row(tmp_path):
    "Named with its part, teacher and step."
    def only_late(step, total, rows): return rows[:step]
    with opened(tmp_path/'lab') as lab:
        student = lab.train(lab.base, 'plain', rows=only_late)
        with pytest.raises(MotError, match='no row is left') as e: lab.weights(student)
        assert e.value.where == 'plain, step 1' and 'only_late' in e.value.values


def test_ideas_have_names_of_their_own(tmp_path):
    "A partial is called by its function and arguments; two ideas under one name are refused, one written anew is not."
    from mot_nb.methods.parts import part
    from mot_nb.student.operators import OPERATORS, mean, ties
    with opened(tmp_path/'lab') as lab:
        names = []
        for density in (.2, .5):
            lab.ask(merge_of_thought, merge=functools.partial(ties, density=density))
            names.append(str(lab.marks[-1].label))
        assert names == ['mot-ties_density_0.2-r1', 'mot-ties_density_0.5-r1']
        assert part(functools.partial(ties, density=.2), OPERATORS, 'merge').key == part('ties', OPERATORS, 'merge',
                                                                                         density=.2).key
        branches = [lab.train(lab.base, t) for t in lab.teachers]
        weights = [.5, .25, .25]
        assert lab.merge(branches, by=functools.partial(mean, weights=weights)).branch_weights == tuple(weights)
        lab.ask(merge_of_thought, merge=lambda base, states: base)
        with pytest.raises(MotError, match='another student has this name') as e:
            lab.ask(merge_of_thought, merge=lambda base, states: states['plain'])
        assert 'def my_idea' in e.value.cure


def halved(base, states): return {n: t * BY for n, t in base.items()}


BY = .5


def test_an_idea_that_is_written_anew_keeps_its_name(tmp_path):
    "A function at the top of a module, changed and run again in the same lab."
    global BY
    with opened(tmp_path/'lab') as lab:
        lab.ask(merge_of_thought, merge=halved)
        before = lab.marks[-1]
        BY = .25
        try: lab.ask(merge_of_thought, merge=halved)
        finally: BY = .5
        assert before.label == lab.marks[-1].label and before.student.key != lab.marks[-1].student.key


def test_names_of_students(tmp_path):
    "What cannot stand in a file's name, and one name for two students of a call."
    def named(lab, name): lab.mark(lab.train(lab.base, 'plain'), name)
    def twice(lab):
        for t in lab.teachers: lab.mark(lab.train(lab.base, t), 'mine')
    def again(lab):
        for _ in range(2): lab.mark(lab.train(lab.base, 'plain'), 'mine')
    with opened(tmp_path/'lab') as lab:
        for bad in ('my-idea v2/x', 'a/b', '', 'a b', '..'):
            with pytest.raises(MotError, match='cannot be the name'): lab.ask(lambda lab, bad=bad: named(lab, bad))
        with pytest.raises(MotError, match='another student has this name'): lab.ask(twice)
        lab.ask(again)
        with pytest.raises(MotError, match='another student has this name'): lab.run(lambda lab: named(lab, 'x'),
                                                                                    lambda lab: lab.mark(lab.base, 'x'))


def test_an_object_is_called_with_what_it_does_not_know(tmp_path):
    "An idea that is an object with `name` and `options`: its options are in its label, and not given to it again."
    class Scaled:
        name = 'scaled'
        def __init__(self, by): self.options = [('by', by)]
        def __call__(self, base, states): return {n: t * dict(self.options)['by'] for n, t in base.items()}
    with opened(tmp_path/'lab') as lab:
        lab.ask(merge_of_thought, merge=Scaled(.5))
        assert str(lab.marks[-1].label) == 'mot-scaled_by_0.5-r1'
        torch.testing.assert_close(lab.weights(lab.marks[-1].student)['model.norm.weight'],
                                   lab.place.base['model.norm.weight'] * .5)
        outer = lab.step(lab.base, lab.merge([lab.base]), functools.partial(lambda b, m, by: b * by, by=.25))
        torch.testing.assert_close(lab.weights(outer)['model.norm.weight'], lab.place.base['model.norm.weight'] * .25)


def test_a_merge_that_cannot_be_made_is_refused_at_once(tmp_path):
    "Weights that an operator would ignore, an operator that several processes cannot carry out: before any training."
    with opened(tmp_path/'lab', rounds__weights='0.5,0.25,0.25') as lab:
        branches = [lab.train(lab.base, t) for t in lab.teachers]
        with pytest.raises(MotError, match='takes no branch weights'): lab.merge(branches, by='ties')
        lab.place.kind = 'ranks'
        with pytest.raises(MotError, match='all branches in one place'): lab.merge(branches, by=weighted)
        assert lab.merge(branches).branch_weights == (.5, .25, .25)


def weighted(base, states, weights): return base


def test_one_shot_trains_its_own_branches(tmp_path):
    "Without the single-teacher students among the methods it is the same student."
    from mot_nb.methods.runs import run
    def hashes(methods):
        settings = load_settings(TINY, ['rounds.rounds=2', f'rounds.methods={methods}'])
        return {r['student']: r['hash'] for r in run(settings, tmp_path/methods, progress=False).rows}
    found = hashes('oneshot'), hashes('std,oneshot')
    assert set(found[0]) == {'base', 'oneshot'} and found[0]['oneshot'] == found[1]['oneshot']


def test_verbs_of_stacked_labs_are_refused(tmp_path):
    "With the lab that has them, also from within an operator."
    from mot_nb.analysis.many_methods import fisher
    with opened(tmp_path/'lab') as lab:
        student = lab.merge([lab.train(lab.base, t) for t in lab.teachers], by=fisher)
        with pytest.raises(MotError, match='squares_of') as e: lab.weights(student)
        assert 'StackedLab' in e.value.cure
        with pytest.raises(MotError, match='distil'): lab.distil(lab.base, {}, None, 1)


def test_a_finished_lab_that_goes_on_elsewhere_says_so(tmp_path):
    "Opened again on another machine: nothing is noted while it is only read; what is trained there counts."
    with opened(tmp_path/'lab') as lab: assert lab.run(merge_of_thought).environments == 1
    file = tmp_path/'lab'/'manifest.json'
    there = json.loads(file.read_text())
    there['environments'][0]['threads'] = 99
    file.write_text(json.dumps(there))
    for method, n in (('mot', 1), ('std', 2), ('mot', 2)):
        with opened(tmp_path/'lab') as lab: found = lab.run(method)
        assert found.environments == n == len(json.loads(file.read_text())['environments'])
    assert 'not bit-exact' in str(found)


def test_the_package_says_where_the_algorithm_is(root):
    "Every file that help(mot_nb) and the table of rooms name is there."
    import re
    import mot_nb
    files = re.findall(r'[\w/]+\.(?:py|ipynb)', mot_nb.__doc__)
    assert 'methods/methods.py' in files and len(files) > 9
    assert not [f for f in files if not (root/f).exists() and not (root/'mot_nb'/f).exists()]
    assert '[03_methods](nbs/methods/03_methods.ipynb)' in (root/'README.md').read_text()


class Pull:
    "An operator with a state: the start and a share of the mean update."
    def __init__(self, share): self.share = share
    def pull(self, base, states):
        return {n: b + self.share*(sum(s[n] for s in states)/len(states) - b) for n, b in base.items()}


def test_a_bound_method_is_known_by_its_object(tmp_path):
    "Two of one class are two ideas; the second does not take the first one's name."
    with opened(tmp_path/'lab') as lab:
        lab.ask('mot', merge=Pull(.5).pull)
        with pytest.raises(MotError, match='another student has this name'): lab.ask('mot', merge=Pull(.9).pull)


def test_options_of_the_own_operator_are_in_the_name(tmp_path):
    "A mean with weights of one's own is not called as the plain mean, and its name can be that of a file."
    with opened(tmp_path/'lab') as lab:
        lab.ask('mot')
        weights = [.8, .1, .1]
        lab.ask('mot', merge=functools.partial(mean, weights=weights))
        names = [str(m.label) for m in lab.marks]
    assert len(set(names)) == len(names) == 3 and all(re.fullmatch(r'[\w.-]+', n) for n in names)


def test_what_a_class_holds_is_in_the_key():
    "A partial by its arguments; a set in one order in every process."
    def key_of(power):
        class Powers:
            raised = functools.partial(pow, power)
            def op(self, base, states): return base
        return part(Powers().op).key
    assert key_of(2) == key_of(2) != key_of(5)
    code = """
from mot_nb.methods.parts import part
print(part(eval("lambda base, states: base in {'a', 'bb', 'ccc', 'dd'}")).key)"""
    said = {subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONHASHSEED': str(s)}, text=True,
                           capture_output=True, check=True).stdout for s in (1, 2, 3)}
    assert len(said) == 1


def test_a_part_that_reads_the_lab_is_told_how(tmp_path):
    "Which function reads what, and that a lab is an argument."
    with opened(tmp_path/'lab') as lab:
        by_loss = eval(compile('lambda base, states: the_lab.loss_of(base, [])', '<test>', 'eval'), {'the_lab': lab})
        with pytest.raises(MotError, match='reads the_lab') as e: print(part(by_loss).key)
        assert 'a lab is an argument' in e.value.cure
