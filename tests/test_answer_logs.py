"Sample logs of lm-eval and Inspect: rows as these tools write them, what is written read back, what is refused."
import json

import pytest

from mot_nb.answers.answer_logs import (joined, read_answer_logs, read_inspect_log, read_lm_eval_samples,
                                        write_inspect_logs, write_lm_eval_samples)
from mot_nb.answers.answer_sets import AnswerSet, Marked
from mot_nb.core.errors import MotError
from mot_nb.data.problems import Problem
from test_escape import STRINGS

# the layout of lm-eval 0.4's evaluator, for gsm8k
LM_EVAL = {"doc_id": 0, "doc": {"question": "Janet's ducks lay 16 eggs.", "answer": "16 - 7 = 9\n#### 18"},
           "target": "18",
           "arguments": {"gen_args_0": {"arg_0": "Q: Janet's ducks lay 16 eggs.\nA:",
                                        "arg_1": {"until": ["Q:", "</s>"], "do_sample": False, "temperature": 0.0}}},
           "resps": [["She makes $18. #### 18"]], "filtered_resps": ["18"], "filter": "strict-match",
           "metrics": ["exact_match"], "doc_hash": "4b1a", "prompt_hash": "ce0c", "target_hash": "4ec9",
           "exact_match": 1.0}
# as Inspect 0.3.285 wrote it, without its events
INSPECT = {"id": 2, "epoch": 1, "input": "What is 1 plus 1?", "target": "2", "messages": [
               {"id": "K", "content": "What is 1 plus 1?", "source": "input", "role": "user"}],
           "output": {"model": "mockllm/model", "choices": [{"message": {
               "id": "V", "content": "3 plus", "source": "generate", "role": "assistant", "model": "mockllm/model"},
               "stop_reason": "max_tokens"}], "completion": "3 plus", "usage": {"input_tokens": 18}, "time": 0.0002},
           "scores": {"match": {"value": "I", "answer": "3 plus", "explanation": "3 plus", "history": []},
                      "includes": {"value": "C", "answer": "3 plus", "history": []}},
           "metadata": {}, "store": {}, "model_usage": {}, "error_retries": [], "attachments": {}, "turn_count": 1}
EVAL = {"task": "sums", "model": "mockllm/model", "dataset": {"samples": 1}, "config": {"epochs": 2}}


def lm_eval_file(folder, *rows, name='samples_gsm8k_2026-01-01T00-00-00.0.jsonl'):
    path = folder/name
    path.write_text(''.join(json.dumps(r) + '\n' for r in rows))
    return path


def inspect_file(folder, *samples):
    path = folder/'log.json'
    path.write_text(json.dumps({'version': 2, 'status': 'success', 'eval': EVAL, 'samples': samples}))
    return path


def test_rows_of_lm_eval(tmp_path):
    second = LM_EVAL | {'filter': 'flexible-extract', 'exact_match': 0.0}
    path = lm_eval_file(tmp_path, LM_EVAL, second)
    read = read_lm_eval_samples(path)
    assert read.problems == (Problem('gsm8k-0', "Janet's ducks lay 16 eggs.", '18', 'gsm8k'),)
    assert read.of == {tmp_path.name: {'gsm8k-0': (Marked('She makes $18. #### 18', 'right'),)}}
    assert read_lm_eval_samples(path, 'a', 'flexible-extract').of['a']['gsm8k-0'][0].mark == 'wrong'


def test_repeats_of_lm_eval(tmp_path):
    "Each has its own mark where the log has one; else the first alone, on which the metric was computed, is kept."
    row = LM_EVAL | {'resps': [['a', 'b', 'c']], 'exact_match': .5}
    own = row | {'scores_per_repeat': {'exact_match': [0.0, 1.0, 1.0]}}
    def marks(r):
        read = read_lm_eval_samples(lm_eval_file(tmp_path, r), 'a')
        return [(m.text, m.mark) for m in read.of['a']['gsm8k-0']]
    assert marks(own) == [('a', 'wrong'), ('b', 'right'), ('c', 'right')] and marks(row) == [('a', 'wrong')]


def test_old_arguments_of_lm_eval(tmp_path):
    "Lists before 0.4.3, and a document without a question: the prompt is what was asked."
    row = LM_EVAL | {'doc': {'text': 'x'}, 'arguments': [['the prompt', {'until': []}]]}
    assert read_lm_eval_samples(lm_eval_file(tmp_path, row)).problems[0].question == 'the prompt'


def test_samples_of_inspect(tmp_path):
    path = inspect_file(tmp_path, INSPECT | {'epoch': 2, 'scores': {'match': {'value': 1.0}}}, INSPECT)
    read = read_inspect_log(path)
    assert read.problems == (Problem('2', 'What is 1 plus 1?', '2', 'sums'),)
    assert [m.mark for m in read.of['mockllm/model']['2']] == ['truncated', 'right']
    assert read_inspect_log(inspect_file(tmp_path, INSPECT), 'm', 'includes').of['m']['2'][0].mark == 'right'


@pytest.mark.parametrize('value, right', [('C', True), ('I', False), ('P', False), ('N', False), (True, True),
                                          (0, False), (0.5, False), (1.0, True), ({'a': 'C', 'b': 'I'}, True)])
def test_values_of_inspect(tmp_path, value, right):
    sample = INSPECT | {'scores': {'s': {'value': value}}}
    assert (read_inspect_log(inspect_file(tmp_path, sample)).of['mockllm/model']['2'][0].mark == 'right') == right


def test_what_is_written_is_read_back(tmp_path):
    "Hostile texts too: answers, questions and names are only text."
    texts = STRINGS[:60]
    problems = tuple(Problem(f'p{i}', s or 'q', '4', 'x') for i, s in enumerate(texts))
    mark = lambda i: ('right', 'wrong', 'truncated')[i % 3]
    of = {p.id: (Marked(s, mark(i)), Marked(s + '.', mark(i + 1))) for i, (p, s) in enumerate(zip(problems, texts))}
    made = AnswerSet(problems, {'a/b: <c>': of, 'a_b_c_': of}, 'made')
    for write, read in ((write_lm_eval_samples, read_lm_eval_samples), (write_inspect_logs, read_inspect_log)):
        files = write(made, tmp_path/write.__name__)
        back = joined([read(f, n) for f, n in zip(files, made.of)])
        assert len(set(files)) == 2 and back.of == made.of
        assert [(p.id, p.question, p.answer) for p in back.problems] == [(p.id, p.question, p.answer) for p in problems]


@pytest.mark.parametrize('row', [{'doc_id': 0, 'resps': [[]], 'exact_match': 1}, {'kind': 'samples'}, [1], 'x',
                                 LM_EVAL | {'resps': [[['-1.5', 'True']]]}, LM_EVAL | {'exact_match': None}])
def test_what_lm_eval_log_is_refused(tmp_path, row):
    with pytest.raises(MotError) as e: read_lm_eval_samples(lm_eval_file(tmp_path, row))
    assert 'line 1' in e.value.where and e.value.cure


@pytest.mark.parametrize('sample', [INSPECT | {'scores': {}}, INSPECT | {'scores': {'s': {'value': 'maybe'}}},
                                    INSPECT | {'error': {'message': 'x'}}])
def test_what_log_of_inspect_is_refused(tmp_path, sample):
    with pytest.raises(MotError): read_inspect_log(inspect_file(tmp_path, sample))


def test_logs_are_joined_by_question(tmp_path):
    (tmp_path/'a').mkdir()
    (tmp_path/'b').mkdir()
    a, b = (lm_eval_file(tmp_path/n, LM_EVAL) for n in 'ab')
    assert list(read_answer_logs([a, f'other={b}']).of) == ['a', 'other']
    with pytest.raises(MotError, match='one name'): read_answer_logs([a, a])
    lm_eval_file(tmp_path/'b', LM_EVAL | {'doc': {'question': 'else'}})
    with pytest.raises(MotError, match='something else'): read_answer_logs([a, b])
