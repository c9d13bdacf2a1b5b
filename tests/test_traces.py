"""`mot traces` killed with -9 at several moments: it goes on, no sample is lost or made twice, and the corpus is that
of a run left alone."""
import contextlib, http.server, json, os, random, signal, threading, time

import pytest

from mot_nb.app.cli import main
from mot_nb.data.corpora import read_corpus
from mot_nb.data.problems import Problem, is_correct, write_problems
from mot_nb.core.files import read_lines

K, N = 4, 12


@pytest.fixture
def teacher():
    """A server that adds two numbers, most of the time: wrong, cut off, without </think>, without an answer, or the
    same again, by the seed of the request."""
    asked = []
    class Adder(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.0'
        def log_message(self, *a): pass
        def reply(self, what):
            body = json.dumps(what).encode()
            self.send_response(200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError): self.wfile.write(body)   # whoever asked was killed
        def do_GET(self): self.reply({'data': [{'id': 'adder'}]})
        def do_POST(self):
            job = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            question = job['messages'][-1]['content']
            asked.append((question, job['seed']))
            time.sleep(.01)
            a, b = (int(w) for w in question.split('?')[0].split() if w.isdigit())
            kind = random.Random(job['seed']).choice(['right', 'right', 'same', 'wrong', 'cut', 'open',
                                                      'mute']) if a != 3 else 'wrong'
            text = {'right': f'<think>{a} and {b}, call {job["seed"] % 97}</think>\nThe answer is {a + b}.',
                    'same': f'The answer is {a + b}.', 'wrong': 'The answer is 999.', 'cut': f'The answer is {a + b}.',
                    'open': f'<think>it is {a + b}', 'mute': 'I do not know.'}[kind]
            self.reply({'choices': [{'message': {'content': text}, 'finish_reason': 'length' if kind == 'cut'
                                     else 'stop'}], 'usage': {'completion_tokens': 9, 'prompt_tokens': 20}})
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Adder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}', asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def pool(tmp_path):
    """A folder of problems with one teacher, whose instruction every prompt ends with; one training question stands in
    the evaluation too, reworded around a run of its words."""
    folder = tmp_path/'pool'
    (folder/'teachers').mkdir(parents=True)
    problems = [Problem(f'p{i}', f'What is {i} plus {i + 5} ?', str(2*i + 5), 'made') for i in range(N)]
    write_problems(folder/'problems_train.jsonl', problems)
    write_problems(folder/'problems_heldout.jsonl', [Problem('e0', 'Tell me: what is 4 plus 9 ? Think.', '13', 'made'),
                                                     Problem('e1', 'What is 70 plus 1 ?', '71', 'made')])
    (folder/'teachers'/'other.jsonl').write_text(''.join(json.dumps(dict(problem_id=p.id, teacher='other',
                                                                         prompt=p.question + ' Be brief.',
                                                                         completion=f'The answer is {p.answer}.',
                                                                         reference=p.answer)) + '\n' for p in problems))
    return folder, problems


def command(url, pool, out):
    return ['traces', 'adder', '--url', url, '--pool', 'folder', f'data.path={pool}', '--name', 'adder', '--k', str(K),
            '--ngram', '4', '--out', str(out), '--quiet']


def started(argv):
    "A forked process that runs the command."
    pid = os.fork()
    if pid == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        try: os._exit(main(argv))
        except BaseException: os._exit(99)
    return pid


def test_killed_anywhere(teacher, pool, tmp_path, capsys):
    url, asked = teacher
    folder, problems = pool
    assert main(command(url, folder, tmp_path/'whole')) == 0
    table = capsys.readouterr().out
    whole = {f.relative_to(tmp_path/'whole'): f.read_bytes() for f in sorted((tmp_path/'whole').rglob('*'))
             if f.is_file() and 'samples' not in f.parts}
    out, file, kills, on_file = tmp_path/'killed', tmp_path/'killed'/'samples'/'adder.jsonl', 0, set()
    for moment in (0, 1, 2, 5, 11, 17, 24, 33, 41, 47, 48, 'corpus'):
        asked.clear()
        pid, end, finished = started(command(url, folder, out)), time.time() + 60, False
        def reached():
            if moment == 'corpus': return (out/'teachers'/'adder.jsonl').exists()
            return (file.read_bytes().count(b'\n') - 1 if file.exists() else -1) >= moment
        while not reached() and time.time() < end and not finished: finished = os.waitpid(pid, os.WNOHANG)[0] == pid
        if not finished:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills += 1
        before, on_file = on_file, {(r['problem_id'], r['sample']) for r in read_lines(file)[1:]}
        assert before <= on_file                                           # nothing is lost
        asked_now = {(p.id, s) for p in problems for s in range(K) for q, seed in asked
                     if q.startswith(p.question) and seed == _seed(p.id, s)}
        again = {(p.id, s) for p in problems for s in range(K) if (p.id, s) in before} & asked_now
        assert not again, again                                            # nothing that was on file is asked for again
    assert kills >= 8
    (out/'.problems_train.jsonl.0a1b2c3d.part').touch()                     # as a kill at that moment leaves it
    assert main(command(url, folder, out)) == 0
    rows = read_lines(file)[1:]
    assert len(rows) == N*K == len({(r['problem_id'], r['sample']) for r in rows})
    assert {f.relative_to(out): f.read_bytes() for f in sorted(out.rglob('*')) if f.is_file()
            and 'samples' not in f.parts} == whole
    asked.clear()
    assert main(command(url, folder, out)) == 0 and not asked
    assert 'adder' in table


def _seed(problem, sample):
    from mot_nb.core.hashes import derive_seed
    return derive_seed(0, problem, sample) % 2**31


def test_what_is_kept_and_what_is_counted(teacher, pool, tmp_path, capsys):
    url, _ = teacher
    folder, problems = pool
    assert main(command(url, folder, tmp_path/'out')) == 0
    corpus = read_corpus(tmp_path/'out'/'teachers'/'adder.jsonl')
    assert all(is_correct(t.reference, t.completion) and t.prompt.endswith(' Be brief.') for t in corpus.traces)
    assert 'p3' not in {t.problem_id for t in corpus.traces}
    assert len({t.problem_id for t in corpus.traces}) == len(corpus.traces)
    card = json.loads((tmp_path/'out'/'teachers'/'adder.card.json').read_text())
    texts = [r for r in read_lines(tmp_path/'out'/'samples'/'adder.jsonl')[1:]]
    assert card['answers'] == len(texts) == N*K and card['cut off'] == sum(r['truncated'] for r in texts) > 0
    assert card['thinking not ended'] == sum('<think>' in r['text'] and '</think>' not in r['text'] for r in texts) > 0
    assert card['no answer'] == sum('not know' in r['text'] for r in texts) > 0
    assert card['wrong'] == sum('999' in r['text'] for r in texts) >= K
    assert card['repeated'] == sum(len(v) - len(set(v)) for v in ([r['text'].strip() for r in texts
                                                                   if r['problem_id'] == p.id] for p in problems)) > 0
    assert card['overlap'] == ('p4' in {t.problem_id for t in corpus.traces}) and card['solved'] == len(corpus.traces)
    # a second teacher in the same folder; the folder is a pool
    assert main([*command(url, folder, tmp_path/'out')[:-1], '--quiet', '--name', 'twin', '--seed', '1']) == 0
    assert all(n in (tmp_path/'out'/'README.md').read_text() for n in ('adder', 'twin'))
    from mot_nb.data.pools import load_pool
    from mot_nb.core.settings import DataSettings
    again = load_pool(DataSettings(pool='folder', path=str(tmp_path/'out')), 0)
    assert set(again.corpora) == {'adder', 'twin'} and again.instruction == ' Be brief.'
    capsys.readouterr()
    assert main([*command(url, folder, tmp_path/'out'), '--n', '5']) == 1
    assert 'holds other problems' in capsys.readouterr().err


@pytest.mark.parametrize('more, says', [(['--url', 'http://127.0.0.1:9'], 'no server answers'),
                                        (['--set', 'boba20=none.jsonl'], 'cannot be read'),
                                        (['--pool', 'toy', '--set', 'aime24'], 'both given'),
                                        (['--name', 'a/b'], 'name of a file'),
                                        (['eval.engine=server'], 'needs an address')])
def test_refusals(tmp_path, capsys, more, says):
    assert main(['traces', 'qwen3-tiny', '--out', str(tmp_path/'x'), '--quiet', *more]) == 1
    assert says in capsys.readouterr().err


def test_a_problem_set_behind_a_server_is_scored(teacher, tmp_path, capsys):
    url, asked = teacher
    (tmp_path/'rows.jsonl').write_text('\n'.join(json.dumps({'problem': f'What is {i} plus {i + 5} ?',
                                                             'answer': 2*i + 5, 'id': str(i)}) for i in range(10, 16)))
    command = ['eval', 'adder', '--url', url, '--set', f'aime25={tmp_path/"rows.jsonl"}', '--out',
               str(tmp_path/'a.jsonl'), '--quiet', 'eval.k=4', 'eval.temperature=0.6']
    assert main(command) == 0
    shown = capsys.readouterr().out
    row, rows = json.loads((tmp_path/'a.score.json').read_text()), read_lines(tmp_path/'a.jsonl')[1:]
    assert '6 problems x 4' in shown and row['engine'] == 'server'
    assert row['truncated'] == sum(r['truncated'] for r in rows)/24
    assert all('\\boxed' in q for q, _ in asked)
    right = sum(is_correct(str(2*int(r['problem_id'].split('-')[1]) + 5), r['text']) for r in rows)/24
    assert abs(row['value'] - right) < 1e-9, (row, right)


def asked(out, *more): return ['traces', 'toy-tiny', '--pool', 'toy', '--k', '1', '--out', str(out), '--quiet', *more]


def test_a_corrected_command_works_after_a_refusal(tmp_path, capsys):
    "Nothing is asked for with --n 0; a refusal before the first answer leaves no problems and no settings behind."
    out = tmp_path/'mine'
    assert main(asked(out, '--n', '0')) == 1 and '--n' in capsys.readouterr().err and not out.exists()
    assert main(asked(out, '--n', '-3')) == 1
    assert main(['eval', 'toy-tiny', '--pool', 'toy', '--n', '0', '--quiet', '--out', str(tmp_path/'a')]) == 1
    assert main(asked(out, '--n', '6')) == 1 and 'do not fit' in capsys.readouterr().err       # 512 new tokens
    assert not (out/'problems_train.jsonl').exists() and not list((out/'samples').glob('*'))
    assert main(asked(out, '--n', '8', 'eval.max_new_tokens=48')) == 0
    assert len(read_lines(out/'problems_train.jsonl')) == 8
    assert main(asked(out, '--n', '6', 'eval.max_new_tokens=48')) == 1 and 'other problems' in capsys.readouterr().err


def test_nothing_of_a_folder_of_ones_own_is_overwritten(tmp_path, capsys):
    out, notes = tmp_path/'mine', {'README.md': '# My notes\n', '.lock': 'mine'}
    out.mkdir()
    for name, text in notes.items(): (out/name).write_text(text)
    fit = ('--n', '8', 'eval.max_new_tokens=48')
    # again: what was written here is replaced
    for _ in range(2): assert main(asked(out, *fit)) == 0
    assert all((out/n).read_text() == t for n, t in notes.items()) and 'toy-tiny' in (out/'TEACHERS.md').read_text()
    # a corpus and a card under the teacher's name
    for name, text in (('own.jsonl', '{"problem_id": "1", "prompt": "p", "completion": "c"}\n'),
                       ('own.md', 'my notes')):
        (out/'teachers'/name).write_text(text)
        assert main(asked(out, '--name', 'own', *fit)) == 1 and 'not written by mot traces' in capsys.readouterr().err
        assert (out/'teachers'/name).read_text() == text
        (out/'teachers'/name).unlink()
    (out/'README.md').unlink()
    assert main(asked(out, *fit)) == 0 and (out/'README.md').read_text().startswith('# Teachers')


NASTY = '<img src=x onerror=alert(1)> $a$ \\(b\\) [x](javascript:alert(1)) ![y](http://h/i.png) \x1b[31m|\u202e'


def test_what_a_card_says_is_only_text(tmp_path):
    "A downloaded card may hold anything: neither the table nor the README it is written to lets it be more than text."
    from mot_nb.answers.traces import HarvestTable, harvest_table
    (tmp_path/'teachers').mkdir()
    card = dict(teacher=NASTY, problems=NASTY, answers=3, solved=[NASTY], overlap=0, repeated=0, sha256='`' + NASTY,
                **{f: 1 for f in ('cut off', 'thinking not ended', 'no answer', 'wrong')})
    (tmp_path/'teachers'/'a.card.json').write_text(json.dumps(card))
    t = harvest_table(tmp_path)
    for text in (t._repr_html_(), t._repr_markdown_(), (tmp_path/'README.md').read_text(), repr(t)):
        assert '\x1b' not in text and '\u202e' not in text
    for text in (t._repr_html_(), t._repr_markdown_(), (tmp_path/'README.md').read_text()):
        assert '<img' not in text and '$a$' not in text and '\\(b' not in text
    assert '](javascript' not in t._repr_markdown_() and '](http' not in t._repr_markdown_()
    assert isinstance(t, HarvestTable)


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '{"teacher": "a"}', '[' * 100_000])
def test_a_card_that_cannot_be_read_is_named(text, tmp_path):
    from mot_nb.answers.traces import harvest_table
    from mot_nb.core.errors import MotError
    (tmp_path/'teachers').mkdir()
    (tmp_path/'teachers'/'x.card.json').write_text(text)
    with pytest.raises(MotError, match='x.card.json'): harvest_table(tmp_path)
