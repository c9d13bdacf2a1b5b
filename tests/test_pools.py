"A folder's files are read or refused by name, and no question stands on both sides, however it is written."
import json

import pytest

from mot_nb.core.errors import MotError
from mot_nb.core.settings import DataSettings
from mot_nb.data.pools import data_hash, load_pool

PROBLEMS = [{'id': f'p{i}', 'question': f'What is 3 plus {i}?', 'answer': str(i + 3), 'source': 's'} for i in range(4)]
TRACES = [{'problem_id': p['id'], 'prompt': p['question'], 'completion': f"Answer: {p['answer']}"} for p in PROBLEMS]


def lines(rows): return ''.join(json.dumps(r) + '\n' for r in rows)


@pytest.fixture
def folder(tmp_path):
    (tmp_path/'teachers').mkdir()
    (tmp_path/'problems_train.jsonl').write_text(lines(PROBLEMS))
    (tmp_path/'teachers'/'plain.jsonl').write_text(lines(TRACES))
    return tmp_path


def pool_of(folder, **more): return load_pool(DataSettings(pool='folder', path=str(folder), **{'n_heldout': 0, **more}))


# -- kind 8 --------------------------------------------------------------------------------------------------

def test_every_teacher_of_a_folder_is_read(folder):
    from pyarrow import Table, parquet
    parquet.write_table(Table.from_pylist(TRACES), folder/'teachers'/'third.parquet')
    (folder/'teachers'/'fourth.json').write_text(json.dumps(TRACES))
    (folder/'teachers'/'fourth.md').write_text('how it was sampled')
    (folder/'teachers'/'fourth.card.json').write_text('{}')
    (folder/'teachers'/'.DS_Store').write_bytes(b'\0')
    pool = pool_of(folder)
    assert {t: len(c) for t, c in pool.corpora.items()} == {'plain': 4, 'third': 4, 'fourth': 4}


@pytest.mark.parametrize('name', ('wordy.csv', 'wordy.jsonl.gz', 'wordy'))
def test_a_file_that_is_no_corpus_is_refused_by_name(folder, name):
    (folder/'teachers'/name).write_text('a')
    with pytest.raises(MotError, match=name): pool_of(folder)
    assert list(pool_of(folder, teachers=('plain',)).corpora) == ['plain']


def test_two_files_of_one_teacher_are_refused(folder):
    (folder/'teachers'/'plain.json').write_text(json.dumps(TRACES))
    for teachers in ((), ('plain',)):
        with pytest.raises(MotError, match='two files'): pool_of(folder, teachers=teachers)


# -- kind 6 --------------------------------------------------------------------------------------------------

def test_whole_solutions_as_answers_and_references(folder):
    solved = [{**p, 'answer': f"so {p['answer']}\n#### {p['answer']}"} for p in PROBLEMS]
    (folder/'problems_train.jsonl').write_text(lines(solved))
    assert len(pool_of(folder).corpora['plain']) == 4                                       # traces without a reference
    boxed = [{**t, 'reference': f'so \\boxed{{{i + 3}}}'} for i, t in enumerate(TRACES)]
    (folder/'teachers'/'plain.jsonl').write_text(lines(boxed))
    assert len(pool_of(folder).corpora['plain']) == 4


# -- kind 17 -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('question', ('What is 3 plus 2?', 'What is 3 $+$ 2 ?', 'What is 3 plus 2.', 'what is\n3 + 2',
                                      'What is $3+2$?', 'What is ３＋２？'))
def test_a_held_out_question_in_other_signs_is_the_same(folder, question):
    held = [{'id': 'h', 'question': question, 'answer': '5', 'source': 's'}]
    (folder/'problems_heldout.jsonl').write_text(lines(held))
    with pytest.raises(MotError, match='both|held-out set'): pool_of(folder, n_heldout=10)


@pytest.mark.parametrize('question', ('What is 3 minus 2?', 'What is 3 plus 22?', 'What is 3 plus 2.5?',
                                      'What is 2 plus 3?', 'What is -3 plus 2?'))
def test_another_question_is_another(folder, question):
    held = [{'id': 'h', 'question': question, 'answer': '5', 'source': 's'}]
    (folder/'problems_heldout.jsonl').write_text(lines(held))
    assert len(pool_of(folder, n_heldout=10).heldout) == 1


def test_marks_of_the_end_are_counted_through_to_the_pool(folder):
    ended = [{**t, 'completion': t['completion'] + '<|im_end|>'} for t in TRACES]
    (folder/'teachers'/'plain.jsonl').write_text(lines(ended))
    corpus = pool_of(folder).corpora['plain']
    assert len(corpus) == 4 and corpus.mended == {'end mark taken off': 4} and not corpus.dropped


# -- which problems ------------------------------------------------------------------------------------------

@pytest.fixture
def large(tmp_path):
    "Thirty problems on each side, answered by one teacher."
    rows = [{'id': f'{side}{i}', 'question': f'What is {add} plus {i}?', 'answer': str(i + add), 'source': 's'}
            for side, add in (('p', 3), ('h', 500)) for i in range(30)]
    (tmp_path/'teachers').mkdir()
    (tmp_path/'problems_train.jsonl').write_text(lines(rows[:30]))
    (tmp_path/'problems_heldout.jsonl').write_text(lines(rows[30:]))
    answered = lambda p: {'problem_id': p['id'], 'prompt': p['question'], 'completion': f"Answer: {p['answer']}"}
    traces = list(map(answered, rows[:30]))
    (tmp_path/'teachers'/'plain.jsonl').write_text(lines(traces))
    return tmp_path


def test_held_out_problems_are_those_of_every_seed(large):
    "Training problems are drawn by the seed and only theirs are learnt; who is scored is scored on the same."
    data = DataSettings(pool='folder', path=str(large), n_train=10, n_heldout=10)
    pools = [load_pool(data, seed) for seed in range(4)]
    ids = lambda problems: tuple(p.id for p in problems)
    assert len({ids(p.heldout) for p in pools}) == 1 and len({ids(p.train) for p in pools}) == 4
    for p in pools: assert tuple(t.problem_id for t in p.corpora['plain'].traces) == ids(p.train) and len(p.train) == 10


def test_changed_data_have_another_hash(large):
    data = DataSettings(pool='folder', path=str(large), n_heldout=100)
    def changed(name, old, new):
        file = large/name
        before = file.read_text()
        file.write_text(before.replace(old, new, 1))
        found = data_hash(load_pool(data))
        file.write_text(before)
        return found
    hashes = [data_hash(load_pool(data)), changed('teachers/plain.jsonl', 'Answer: 3"', 'So 3. Answer: 3"'),
              changed('problems_heldout.jsonl', '"answer": "500"', '"answer": "501"'),
              changed('problems_heldout.jsonl', 'What is 500', 'How much is 500'),
              changed('problems_heldout.jsonl', '"id": "h0"', '"id": "h00"')]
    assert len(set(hashes)) == len(hashes) and hashes[0] == data_hash(load_pool(data))


def test_toy_problems_of_the_training_kind_are_new():
    from mot_nb.data.pools import HELDOUT_SEED
    from mot_nb.data.toy import toy_problems
    data = DataSettings(pool='toy', n_train=400, n_heldout=200, split='in_template')
    pool = load_pool(data)
    asked = {p.question for p in pool.train}
    assert asked & {p.question for p in toy_problems(200, HELDOUT_SEED)}          # some would have been trained on
    assert len(pool.heldout) == 200 and not asked & {p.question for p in pool.heldout}


def test_a_reference_that_disagrees_is_refused(folder):
    (folder/'teachers'/'plain.jsonl').write_text(lines([{**TRACES[0], 'reference': '4'}, *TRACES[1:]]))
    with pytest.raises(MotError, match='disagree'): pool_of(folder)
