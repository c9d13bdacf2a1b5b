"References that name a verifier are handed to it, all others are answers; code runs with limits, and only with leave."
import json
import os
from pathlib import Path

import psutil
import pytest

from mot_nb.answers.scores import grade
from mot_nb.answers.traces import fault_of
from mot_nb.answers.sampling import Sample
from mot_nb.core import python_tests
from mot_nb.core.errors import MotError
from mot_nb.core.python_tests import code_of, read_tests, run_code
from mot_nb.core.settings import DataSettings
from mot_nb.core.verifiers import VERIFIERS, verifier
from mot_nb.data.corpora import Corpus, Trace, filter_correct, read_corpus
from mot_nb.data.pools import load_pool
from mot_nb.data.problem_sets import check_answers
from mot_nb.data.problems import (Problem, answer_given, answer_said, extract_answer, final_answer, is_correct,
                                  read_problems, same_answer, write_problems)

TESTS = 'python-tests: assert double(4) == 8\nassert double(0) == 0'
RIGHT = 'def double(x): return 2 * x'


def block(code, kind='python'): return f'So:\n```{kind}\n{code}\n```\nThat is all.'


@pytest.fixture
def on(monkeypatch): monkeypatch.setenv('MOT_RUN_CODE', '1')


@pytest.fixture
def odd():
    "A verifier for odd numbers, for the time of a test."
    @verifier('is-odd', said=lambda spec, text: text.strip()[-1:] or None)
    def is_odd(spec, text): return text.strip()[-1:] in tuple(spec)
    yield
    del VERIFIERS['is-odd']


# -- references ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('gold, text', [
    ('x: 3', 'Answer: x: 3'), ('answer: 5', 'so it is 5'), ('no-such-verifier: 5', 'Answer: 5'), ('12', 'Answer: 12'),
    ('12', 'Answer: 13'), ('1:2', 'Answer: 1:2'), ('python-tests', '5')])
def test_an_ordinary_reference_is_compared_as_before(gold, text):
    said = extract_answer(text)
    assert is_correct(gold, text) is same_answer(gold, said)
    assert answer_said(gold, text) == answer_given(gold, text) == said


def test_the_hyphen_keeps_ordinary_answers_out():
    for name in ('answer', 'x', 'Answer-Is', 'a b-c', '-a', 'a-'):
        with pytest.raises(MotError, match='ordinary answer'): verifier(name)


def test_every_door_asks_the_verifier(odd, tmp_path):
    p = Problem('p', 'An odd number?', 'is-odd: 13579', 's')
    said = {'3': True, '4': False, '<think>3</think>4': False, '<think>4</think>3': True, '': False}
    assert {t: is_correct(p.answer, t) for t in said} == said
    assert grade([p], {'p': list(said)})['p'] == tuple(said.values())
    traces = tuple(Trace('p', 't', p.question, t, p.answer) for t in said)
    assert [t.completion for t in filter_correct(Corpus('t', traces)).traces] == ['3', '<think>4</think>3']
    sample = lambda text: Sample(0, 0, text, 1, False)
    assert [fault_of(sample(t), p.answer) for t in ('3', '4', '')] == [None, 'wrong', 'no answer']
    assert check_answers([p]) == [] and [answer_said(p.answer, t) for t in ('13', '')] == ['3', None]
    assert read_problems(write_problems(tmp_path/'p.jsonl', [p])) == [p]


def test_a_long_reference_is_kept_whole(tmp_path):
    long = TESTS + ''.join(f'\nassert double({i}) == {2*i}  # the answer is: {2*i}' for i in range(40))
    assert final_answer(long) == long
    row = dict(problem_id='p', prompt='q', completion=block('def f(x): return x'), reference=long)
    (tmp_path/'t.jsonl').write_text(json.dumps(row) + '\n')
    trace, = read_corpus(tmp_path/'t.jsonl', teacher='t').traces           # it holds no number and no 'Answer:'
    assert trace.reference == long


def test_a_folder_with_code_needs_leave_and_is_filtered(tmp_path, monkeypatch):
    (tmp_path/'teachers').mkdir()
    problem = dict(id='p', question='Double it.', answer=TESTS, source='s')
    other = dict(id='q', question='Double it twice.', answer='python-tests: assert f(1) == 4', source='s')
    (tmp_path/'problems_train.jsonl').write_text(''.join(json.dumps(p) + '\n' for p in (problem, other)))
    rows = [dict(problem_id='p', prompt='Double it.', completion=block(RIGHT)),
            dict(problem_id='q', prompt='Double it twice.', completion=block('def f(x): return x'))]
    (tmp_path/'teachers'/'t.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
    data = DataSettings(pool='folder', path=str(tmp_path), n_heldout=0)
    monkeypatch.delenv('MOT_RUN_CODE', raising=False)
    with pytest.raises(MotError, match='MOT_RUN_CODE=1'): load_pool(data)
    monkeypatch.setenv('MOT_RUN_CODE', '1')
    corpus = load_pool(data).corpora['t']
    assert [t.problem_id for t in corpus.traces] == ['p'] and corpus.dropped == {'wrong answer': 1}


# -- code ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('leave', (None, '', '0', 'true', 'yes'))
def test_without_leave_nothing_runs(leave, monkeypatch, tmp_path):
    monkeypatch.delenv('MOT_RUN_CODE', raising=False)
    if leave is not None: monkeypatch.setenv('MOT_RUN_CODE', leave)
    with pytest.raises(MotError, match='no sandbox'): is_correct(TESTS, block(f"open({str(tmp_path/'x')!r}, 'w')"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('code, right', [
    (RIGHT, True), ('def double(x): return x', False), ('def double(x): return 8', False), ('double = (', False),
    ('', False), ('print("8")', False), (RIGHT + '\nprint("x" * 100)', True),
    ('from functools import partial\nimport operator\ndouble = partial(operator.mul, 2)', True)])
def test_right_and_wrong_code(on, code, right): assert is_correct(TESTS, block(code)) is right


def test_which_block_counts(on):
    last = block('def double(x): return x') + block(RIGHT)
    assert is_correct(TESTS, last) and not is_correct(TESTS, block(RIGHT) + block('def double(x): return x'))
    assert is_correct(TESTS, block(RIGHT) + block('8', 'text')) and is_correct(TESTS, block(RIGHT, ''))
    assert code_of(f'```python\n{RIGHT}') is None and not is_correct(TESTS, RIGHT)
    assert not is_correct(TESTS, f'<think>{block(RIGHT)}</think>I do not know.')


TRICKS = {
    'exit': 'import sys\nsys.exit(0)', 'hard exit': 'import os\nos._exit(0)', 'raise': 'raise SystemExit(0)',
    'exit when called': 'import os\ndef double(x): os._exit(0)',
    'equal to all': 'class E(int):\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\n'
                    'def double(x): return E(1)',
    'equal object': 'class E:\n    def __eq__(s, o): return True\ndef double(x): return E()',
    'no assertions': 'import builtins\nbuiltins.AssertionError = type("A", (Exception,), {})\ndef double(x): return 1',
    'eval is mine': 'import builtins\nbuiltins.eval = lambda *a: 8\ndef double(x): return 1',
    'a repr of its own': 'class E:\n    __repr__ = lambda s: "0"\ndef double(x): return 8 if x else E()',
    'repr is mine': 'import builtins\nbuiltins.repr = lambda x: "8"\ndef double(x): return 1',
    'a report of its own': 'import os\nfor fd in range(1, 64):\n    try: os.write(fd, b\'["1", "1"]\')\n'
                           '    except OSError: pass\nos._exit(0)'}


@pytest.mark.parametrize('trick', TRICKS)
def test_tricks_are_not_right(on, trick): assert not is_correct(TESTS, block(TRICKS[trick]))


def test_tests_see_the_real_built_ins(on):
    tests = 'python-tests: assert sorted(f()) == [1, 2]\nassert len(f()) == 2'
    fake = 'def sorted(x): return [1, 2]\nimport builtins\nbuiltins.len = lambda x: 2\ndef f(): return [3]'
    assert is_correct(tests, block('def f(): return [2, 1]')) and not is_correct(tests, block(fake))


BOMBS = {'loop': 'while True: pass', 'memory': 'x = []\nwhile True: x.append("a" * 10**7)',
         'one large': f'x = bytearray(6 * 10**8)\n{RIGHT}',
         'flood': "import sys\nwhile True: sys.stdout.write('x' * 10**6)",
              'values': 'def double(x): return "x" * 10**8', 
         'deep': 'x = []\nfor i in range(10**5): x = [x]\ndouble = lambda y: x'}


@pytest.mark.parametrize('bomb', BOMBS)
def test_bombs_end_soon_and_are_wrong(on, bomb):
    asked, _ = read_tests(TESTS.partition(': ')[2])
    assert run_code(BOMBS[bomb], asked, dict(seconds=1, memory=1 << 28)) is None


@pytest.fixture
def left_over(monkeypatch):
    "A function: processes that still live in the folders of the code that ran in this test."
    folders, started = [], python_tests._started
    monkeypatch.setattr(python_tests, '_started', lambda folder: folders.append(folder) or started(folder))
    def found():
        places = {p.pid: p.info['cwd'] or '' for p in psutil.process_iter(['cwd'])}
        return [pid for pid, place in places.items() if any(place.startswith(f) for f in folders)]
    return found


def test_what_sleeps_is_ended_by_the_clock(on, monkeypatch, left_over):
    waited = []
    monkeypatch.setattr(python_tests, '_said_by', lambda process, seconds: waited.append((seconds, left_over())))
    assert run_code('import time\ntime.sleep(10**6)', read_tests('assert f()')[0]) is None
    assert waited[0][0] == 60 and len(waited[0][1]) == 1 and not left_over()


FORKS = {'fork': 'import os\nos.fork()', 'bomb': 'import os\nwhile True:\n    try: os.fork()\n    except OSError: pass',
         'system': 'import os\nassert os.system("true") == 0', 'popen': 'import subprocess\nsubprocess.run(["true"])',
         'pool': 'from multiprocessing import Process\np = Process(target=print)\np.start()\np.join()',
         'ctypes': 'import ctypes\nctypes.CDLL(None).fork()',
         'low': 'import _posixsubprocess\n_posixsubprocess.fork_exec()'}


@pytest.mark.parametrize('way', FORKS)
def test_no_other_process(on, way, left_over):
    asked, _ = read_tests(TESTS.partition(': ')[2])
    assert run_code(f'{FORKS[way]}\n{RIGHT}', asked, dict(seconds=1)) is None and not left_over()


def test_it_cannot_end_its_parent(on):
    assert not is_correct(TESTS, block(f'import os\nos.kill(os.getppid(), 9)\n{RIGHT}'))


WRITES = ("open({0!r}, 'w').write('x')", "import os\nos.open({0!r}, os.O_CREAT | os.O_WRONLY)",
          "import os\nfd = os.open('/', os.O_RDONLY)\nos.open({0!r}[1:], os.O_CREAT | os.O_WRONLY, dir_fd=fd)",
          "import os\nos.symlink({1!r}, 'here')\nopen('here/x', 'w')", "import os\nos.chdir({1!r})\nopen('x', 'w')",
          "import pathlib\npathlib.Path({0!r}).write_text('x')", "import os\nos.mkdir({0!r})",
          "open('x', 'w').write('x')\nimport os\nos.rename('x', {0!r})", "import shutil\nshutil.rmtree({1!r})",
          "import os\nos.remove({2!r})", "import os\nos.truncate({2!r}, 0)")


@pytest.mark.parametrize('write', WRITES)
def test_nothing_is_changed_outside(on, write, tmp_path):
    (tmp_path/'mine').write_text('mine')
    code = write.format(str(tmp_path/'x'), str(tmp_path), str(tmp_path/'mine'))
    assert not is_correct(TESTS, block(f'{code}\n{RIGHT}'))
    assert [p.name for p in tmp_path.iterdir()] == ['mine'] and (tmp_path/'mine').read_text() == 'mine'


def test_its_own_folder_is_its_own_and_goes(on):
    code = "import os\nos.mkdir('d')\nopen('d/x', 'w').write('8')\ndef where(): return os.getcwd()\n" \
           "def double(x): return 2 * x if open('d/x').read() == '8' and len(os.listdir('.')) == 1 else 0"
    assert is_correct(TESTS, block(code))
    here, = run_code(code, read_tests("assert where() == ''")[0])
    assert 'mot-code-' in here and not Path(here).exists()


def test_no_network_no_environment_no_packages(on, monkeypatch):
    monkeypatch.setenv('MOT_SECRET', 'secret')
    asked, _ = read_tests("assert seen() == ''")
    env, = run_code('import os, sys\ndef seen(): return [sorted(os.environ), sys.path]', asked)
    assert 'MOT_SECRET' not in env[0] and not any('site-packages' in p for p in env[1])
    assert run_code('import socket\nsocket.create_connection(("127.0.0.1", 9))\ndef seen(): return 1', asked) is None


def test_a_large_file_ends_it(on):
    asked, _ = read_tests('assert f() == 1')
    code = "with open('x', 'wb') as o:\n    for i in range(100): o.write(bytes(10**6))\ndef f(): return 1"
    assert run_code(code, asked) is None


def test_plain_values_of_every_kind(on):
    asked, claims = read_tests("assert f() == [1, -2.5, 'a', b'b', None, True, (1,), {1: {2}}, set(), 1e999, 2j]")
    code = 'from collections import OrderedDict\nfrom enum import IntEnum\nI = IntEnum("I", "one")\n' \
           'def f():\n    inner = OrderedDict({1: frozenset({2})})\n' \
           '    return [I.one, -2.5, "a", b"b", None, True, (1,), inner, set(), 1e999, 2j]'
    values = run_code(code, asked)
    assert values and claims[0](values)


def test_votes_are_what_the_code_computes(on):
    other = 'def double(x): return x + x'
    said = [answer_said(TESTS, block(c)) for c in (RIGHT, other, 'def double(x): return x', 'double = 1')]
    assert said == ['[8, 0]', '[8, 0]', '[4, 0]', None] and answer_said(TESTS, 'no code') is None


@pytest.mark.parametrize('tests', ('double(4) == 8', 'assert double(', 'for i in (1, 2): assert double(i) == 2', ''))
def test_tests_that_are_none_are_refused(on, tests):
    with pytest.raises(MotError, match='assert'): is_correct(f'python-tests: {tests}', block(RIGHT))


def test_a_run_takes_less_than_a_second_of_work(on):
    before = os.times()
    assert is_correct(TESTS, block(RIGHT))
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1
