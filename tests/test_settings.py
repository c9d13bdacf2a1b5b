"Settings that would vanish, change or end in a raw traceback are refused, with the place and the cure."
import math

import pytest

from mot_nb.core.errors import MotError
from mot_nb.core.settings import OuterSettings, RunSettings, load_settings, settings_dict, to_yaml


def written(folder, text):
    "A settings file with this text."
    (folder/'run.yaml').write_text(text, encoding='utf-8')
    return folder/'run.yaml'


def refused(source=None, overrides=()):
    "The message of the error that these settings end in."
    with pytest.raises(MotError) as e: load_settings(source, overrides)
    return str(e.value)


@pytest.mark.parametrize('text, key, lines', [
    ('train: {lr: 0.5}\nname: x\ntrain: {batch: 2}\n', 'train', (1, 3)),
    ('train:\n  lr: 0.5\n  batch: 2\n  lr: 1e-5\n', 'lr', (2, 4)),
    ('rounds:\n  outer: {momentum: .9, lr: 1,\n    momentum: 0}\n', 'momentum', (2, 3)),
    ('"seeds": [0]\n\nseeds: [1]\n', 'seeds', (1, 3))])
def test_a_key_that_stands_twice(tmp_path, text, key, lines):
    message = refused(written(tmp_path, text))
    assert f'line {lines[0]} and line {lines[1]}' in message and f'values: {key}' in message and 'run.yaml' in message


def test_a_key_of_an_override_that_stands_twice():
    assert 'twice' in refused(overrides=['rounds.outer={lr: .7, lr: .8}'])


def test_merged_and_repeated_anchors_are_no_double_keys(tmp_path):
    text = 'train: &t {lr: 0.5, steps: 3}\nrounds: {outer: &o {lr: 0.5}}\n'
    assert load_settings(written(tmp_path, text)).train.steps == 3
    text = 'data: &d {n_train: 5}\nx: 1\n'
    assert "unknown setting 'x'" in refused(written(tmp_path, text))


@pytest.mark.parametrize('value', ['1:30', '010', '0x1F', '-010', '1:30.5', '0b11'])
def test_a_number_that_yaml_reads_in_another_way(tmp_path, value):
    for key in ('train.steps', 'train.lr'): assert 'wrong type' in refused(overrides=[f'{key}={value}'])
    assert f"'{value}'" in refused(written(tmp_path, f'train: {{steps: "{value}"}}'))


@pytest.mark.parametrize('value', ['1.10', '1:30', '010', '2026-01-01', 'no', '1e5', '0x1F', '1_000'])
def test_a_name_stays_as_it_was_written(tmp_path, value):
    s = load_settings(written(tmp_path, f'name: {value}\ndata: {{teachers: [{value}]}}'))
    assert s.name == value and s.data.teachers == (value,) and load_settings(written(tmp_path, to_yaml(s))) == s


@pytest.mark.parametrize('value, steps', [('1e3', 1000), ('5.0', 5), ('1_000', 1000), ('+7', 7), ('"8"', 8)])
def test_a_whole_number_in_its_other_forms(value, steps):
    assert load_settings(overrides=[f'train.steps={value}']).train.steps == steps


@pytest.mark.parametrize('override', ['data.teachers=[plain,plain]', 'rounds.mtd_budgets=[depth,depth]',
                                      'data.teachers=a,b,a',
                                      'rounds.methods=mot,mot', 'seeds=3,3'])
def test_a_list_that_names_something_twice(override):
    assert 'names something twice' in refused(overrides=[override])


@pytest.mark.parametrize('opening, closing', [('[', ']'), ('{a: ', '}'), ('[', '')])
def test_yaml_nested_three_thousand_times(tmp_path, opening, closing):
    message = refused(written(tmp_path, 'seeds: ' + opening*3000 + closing*3000))
    assert 'nested too deeply' in message and len(message) < 500


def test_aliases_that_multiply_make_no_long_message(tmp_path):
    # 8**12 words
    lists = ['&a0 [x, x, x, x, x, x, x, x]'] + [f'&a{i} [{", ".join([f"*a{i - 1}"]*8)}]' for i in range(1, 12)]
    message = refused(written(tmp_path, 'train:\n' + ''.join(f'  a{i}: {x}\n' for i, x in enumerate(lists))
                              + 'notes: *a11\n'))
    assert 'unknown setting' in message and len(message) < 5000
    message = refused(written(tmp_path, 'notes:\n' + ''.join(f'- {x}\n' for x in lists)))
    assert 'wrong type' in message and len(message) < 50_000


@pytest.mark.parametrize('name', ['""', "''", '"  "'])
def test_an_empty_name(name): assert 'empty' in refused(overrides=[f'student.name={name}'])


@pytest.mark.parametrize('source', [{'train': {'lora_rank': 8, 'lora_targets': []}},
                                    {'train': {'lora_rank': 1, 'lora_targets': ''}},
                                    {'train': {'lora_rank': '4', 'lora_targets': ()}}])
def test_a_rank_without_modules(source):
    assert 'train.lora_targets' in refused(source)
    assert load_settings({'train': {**source['train'], 'lora_rank': 0}}).train.lora_targets == ()


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('group, key', [('train', 'lr'), ('train', 'lora_alpha'), ('train', 'steps'), ('data', 'seed'),
                                        ('data', 'system'), ('student', 'name'), ('rounds', 'merge')])
def test_numbers_that_are_none(group, key, value):
    assert f'{group}.{key}' in refused({group: {key: value}})
    assert 'merge_options' in refused({'rounds': {'merge_options': {'density': value}}})
    assert 'weights' in refused({'rounds': {'weights': [1, value]}})


def test_groups_within_groups_come_back(tmp_path):
    changes = ['rounds.merge=dare', 'rounds.merge_options={density: 3e-1, seed: 4, rescale: true, on: word}',
               'rounds.outer={lr: .7, momentum: .9}',
               'rounds.introduce=one_more', 'rounds.rows=short_first']
    s = load_settings(overrides=changes)
    assert s.rounds.merge_options == {'density': .3, 'seed': 4, 'rescale': True, 'on': 'word'}
    assert s.rounds.outer == OuterSettings(.7, .9, True)
    assert load_settings(settings_dict(s)) == load_settings(s) == load_settings(written(tmp_path, to_yaml(s))) == s
    assert load_settings(s, ['rounds.outer.lr=.5']).rounds.outer == OuterSettings(.5, .9)
    assert hash(s) == hash(load_settings(s))
    assert load_settings() == RunSettings() and load_settings().rounds.outer == OuterSettings(1., 0.)


@pytest.mark.parametrize('override', ['rounds.merge=mena', 'rounds.outer.lr=0', 'rounds.outer.momentum=1',
                                      'rounds.outer.momentum=-.1', 'rounds.outer=1', 'rounds.outer.rate=1',
                                      'rounds.introduce=all', 'rounds.rows=short', 'rounds.merge_options=3',
                                      'rounds.merge_options={a: [1]}', 'rounds.merge_options={a: {b: 1}}'])
def test_what_the_new_settings_refuse(override): assert 'rounds.' in refused(overrides=[override])


def test_what_was_given_stays_as_it_is():
    given = {'rounds': {'outer': {'lr': .5}, 'merge_options': {'density': .1}}}
    load_settings(given, ['rounds.outer.momentum=.5', 'rounds.merge_options.density=.2'])
    assert given == {'rounds': {'outer': {'lr': .5}, 'merge_options': {'density': .1}}}


TEMPLATE = "{% for m in messages %}Q: {{ m['content'] }}\n{% endfor %}"


def test_a_template_is_part_of_the_experiment(tmp_path):
    "Its text, not the name of its file; without one nothing that is written or hashed changes."
    from mot_nb.core.experiment import amended, identity
    (tmp_path/'a.jinja').write_text(TEMPLATE)
    plain, own = load_settings(), load_settings(overrides=[f'student.template={tmp_path/"a.jinja"}'])
    assert 'template' not in settings_dict(plain)['student'] and 'template' not in to_yaml(plain)
    assert identity(plain) == identity(load_settings(overrides=['student.template=""']))
    assert own.student.template == TEMPLATE and load_settings(settings_dict(own)) == own
    (tmp_path/'a.jinja').unlink()                                   # a run folder needs no file beside it
    assert load_settings(written(tmp_path, to_yaml(own))) == own
    base = load_settings(overrides=['student.template=PLAIN'])
    assert len({identity(s) for s in (plain, own, base)}) == 3
    for there, asked in ((plain, own), (own, base), (base, plain)):
        with pytest.raises(MotError, match='student.template'): amended(there, asked)


@pytest.mark.parametrize('value', ['none.jinja', '.', 'plain', 'a\0b', 'x'*5000])
def test_a_template_that_is_not_there(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    assert 'student.template' in refused({'student': {'template': value}})


def test_a_template_that_is_no_text(tmp_path):
    for name, data in (('empty', b''), ('binary', bytes(range(256))), ('prose', b'Answer the question.')):
        (tmp_path/name).write_bytes(data)
        assert 'student.template' in refused({'student': {'template': str(tmp_path/name)}})


def test_a_run_is_taught_by_its_template(tmp_path):
    "What is kept carries it; another template is another prompt and other weights."
    from mot_nb.data.chat import PLAIN_TEMPLATE
    from mot_nb.core.settings import profile_settings
    from mot_nb.methods.runs import kept_students, run
    from mot_nb.student.students import load_student
    small = ['seeds=0', 'rounds.rounds=1', 'rounds.methods=mot', 'train.steps=1', 'data.n_train=6', 'data.n_heldout=0']
    hashes = set()
    for name, template in (('own', '""'), ('plain', 'PLAIN')):
        s = profile_settings('smoke', 'toy', [*small, f'student.template={template}'])
        hashes.add(run(s, tmp_path/name, progress=False).hash)
        tokenizer = load_student(str(kept_students(tmp_path/name, 0)['mot-r1']))[1]
        assert (tokenizer.chat_template == PLAIN_TEMPLATE) == (name == 'plain')
    assert len(hashes) == 2
