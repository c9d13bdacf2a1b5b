"""Records what pages 54, 54a and 54b show, in data/recorded/: run by hand, never by the tests. Stopped anywhere, the same command goes on.

    python tests/tools/record_scores.py best-teacher --work FOLDER [--only toy|words] [--words RUN]  students x corpora x teachers    -> best-teacher.jsonl
    python tests/tools/record_scores.py avg16 --work FOLDER [--words RUN]              16 samples a problem              -> avg16.jsonl
    python tests/tools/record_scores.py forgetting --words RUN                         before and after, offline suite   -> forgetting-words.jsonl
    python tests/tools/record_scores.py lm-eval --python PYTHON                        the same items by lm-eval         -> lm_eval_check.jsonl

PYTHON is one of an environment with lm-eval 0.4.13 and this library's packages. RUN is the finished folder of a run on the words pool whose students were kept.
"""
import argparse, subprocess, sys
from pathlib import Path

import house
from mot_nb.core.hashes import derive_seed, hash_tensors
from mot_nb.core.settings import DataSettings, load_settings
from mot_nb.core.machine import environment

RECORDED = house.ROOT/'data'/'recorded'
BEST = {'toy': dict(students=['toy-tiny', 'toy'], pool='toy', teachers=['plain', 'verbose', 'checker', 'foreign'], corpora=['all', 'short'], seeds=[0, 1, 2, 3, 4], n_train=200, n_heldout=200, steps=50, batch=16, lr=1e-3, max_new_tokens=80),
        'words': dict(students=['smollm2-135m'], pool='words', teachers=['worked', 'narrative', 'equations', 'checker'], corpora=['short', 'long'], seeds=[0, 1], n_train=120, n_heldout=60, steps=10, batch=4, lr=2e-4, max_new_tokens=48)}


def commit():
    "The checkout's commit."
    return subprocess.run(['git', '-C', str(house.ROOT), 'rev-parse', '--short=12', 'HEAD'], capture_output=True, text=True, check=True).stdout.strip()


def command(*words):
    "The command as anyone could type it."
    return ' '.join(['python tests/tools/record_scores.py', *words])


def best_teacher(work, only, words):
    "Runs the template at real size for each pool, each adding to the file of the one before; then adds the single-teacher students of a finished run on the words pool."
    from mot_nb.app.report import execute_page
    for pool, how in BEST.items():
        if only in ('', pool):
            execute_page(house.ROOT/'nbs'/'reports'/'80_best_teacher.ipynb', work/f'80_best_teacher-{pool}.ipynb',
                         {**how, 'runs': str(work/'runs'), 'record': str(RECORDED/'best-teacher.jsonl'), 'commit': commit(), 'command': command('best-teacher --work FOLDER --words RUN')})


    if words:
        from mot_nb.analysis.claims import scores_of
        from mot_nb.methods.rounds import read_run
        from mot_nb.answers.score_files import read_results, write_results
        done = read_run(words)
        found, s, place = scores_of(done), done.settings, 'all word problems'
        end = max(r['round'] for r in done.rows)
        rows = [dict(student=s.student.name, corpus=place, teacher=r['teacher'], seed=r['seed'], score=found[r['seed'], r['student']]) for r in done.rows if r['metric'] == 'accuracy' and r['method'] in ('base', 'std') and r['round'] in (0, end)]
        head, old = read_results(RECORDED/'best-teacher.jsonl')
        part = dict(students=[s.student.name], pool='words', teachers=list(s.data.teachers), corpora=['all'], seeds=list(s.seeds), n_train=s.data.n_train, n_heldout=s.data.n_heldout, steps=s.rounds.rounds*s.train.steps, batch=s.train.batch, lr=s.train.lr, max_new_tokens=s.eval.max_new_tokens, run='data/recorded/long-words.jsonl')
        head['parts'] = [p for p in head.get('parts', []) if not p.get('run')] + [part]
        write_results(RECORDED/'best-teacher.jsonl', [r for r in old if r['corpus'] != place] + rows, **head)


def sixteen(name, folder, pool, prompts, path, **how):
    "Marks of 16 samples a problem of one student."
    from mot_nb.answers.sampling import sample_problems
    from mot_nb.answers.scores import grade, score_marks
    from mot_nb.student.weights import student_state
    from mot_nb.student.students import load_student
    model, tokenizer = load_student(str(folder))
    weights = hash_tensors(student_state(model))
    samples = sample_problems(model, tokenizer, prompts, path, weights, k=16, seed=derive_seed('avg16'), progress=lambda done, total, left: print(f'{name}: {done}/{total}, {left:.0f} s left', file=sys.stderr) if done % 64 == 0 else None, **how)
    marks = grade(pool.heldout, samples)
    cut = [s.truncated for x in samples.values() for s in x]
    return marks, score_marks(marks, sum(cut)/len(cut), weights, name)


def avg16(work, words):
    "16 samples a problem: the toy students of a run made here, and SmolLM2 before and after MoT."
    from mot_nb.data.pools import load_pool, prompt_of
    from mot_nb.methods.rounds import run
    from mot_nb.answers.score_files import write_results
    s = load_settings({'name': 'toy, every student kept', 'student': {'name': 'toy-tiny'}, 'data': {'pool': 'toy', 'teachers': ['plain', 'verbose', 'checker', 'foreign'], 'n_train': 200, 'n_heldout': 60},
                       'train': {'lr': 1e-3, 'steps': 10, 'batch': 16, 'compute': 'float32'}, 'rounds': {'rounds': 5, 'keep': 'last'}, 'eval': {'max_new_tokens': 80, 'every_round': False}})
    done, rows = run(s, work/'toy'), []
    label = {'base': 'base', 'mot': 'MoT', 'mtd': 'MTD (depth)', 'oneshot': 'one-shot merge'}
    students = [(label.get(r['method'], f"STD {r['teacher']}"), 'toy-tiny' if r['method'] == 'base' else done.folder/'students'/r['student']) for r in done.rows if r['metric'] == 'accuracy']
    sets = {'toy': (students, s.data, dict(temperature=.6, top_p=.95, max_new_tokens=80, batch=480))}
    if words: sets['words'] = ([('base', 'smollm2-135m'), ('MoT', words/'students'/'mot-r3')], DataSettings(pool='words', teachers=('worked',), n_heldout=30), dict(temperature=.6, top_p=.95, max_new_tokens=48, batch=64))
    for name, (students, data, how) in sets.items():
        pool = load_pool(data, 0)
        prompts = {p.id: prompt_of(pool, p) for p in pool.heldout}
        for student, folder in students:
            marks, score = sixteen(student, folder, pool, prompts, work/'samples'/f"{name}-{student.replace(' ', '-')}.jsonl", **how)
            print(score)
            rows.append({'set': name, 'student': student, 'sampling': how, 'marks': marks, 'score': score})
            write_results(RECORDED/'avg16.jsonl', rows, commit=commit(), command=command('avg16 --work FOLDER --words RUN'), environment=environment())


def forgetting(words):
    "The offline suite on the base and on every student of the run."
    from mot_nb.analysis.forgetting import forgetting_table, measure_students
    from mot_nb.analysis.suite import make_suite
    students = {'base': ('smollm2-135m', {'method': 'base'})}
    kept = {f.name: f for f in (words/'students').iterdir()}
    for label, name in (('MoT', 'mot-r3'), ('STD worked', 'std-worked-r3'), ('STD narrative', 'std-narrative-r3'), ('STD equations', 'std-equations-r3'), ('MTD (depth)', 'mtd-depth-r3'), ('one-shot merge', 'oneshot')):
        if name in kept: students[label] = (kept[name], {'method': label.split()[0].lower(), 'teacher': label.split()[1] if label.startswith('STD') else None, 'seed': 0})
    print(forgetting_table(measure_students(students, make_suite(48, 16, 12, 20), RECORDED/'forgetting-words.jsonl', lambda t: print(t, file=sys.stderr), commit=commit(), command=command('forgetting --words RUN'), run=words.name)))


def lm_eval(python, work):
    "Items of the suite asked by lm-eval and by this library, item by item, on a tiny student with random weights."
    import json
    from mot_nb.analysis.suite import ask, make_suite, option_scores
    from mot_nb.analysis.lm_eval import run_lm_eval
    from mot_nb.core.files import write_atomic
    from mot_nb.student.students import load_student, student_folder
    suite, tasks = make_suite(60, 30, 4, 4), work/'lm-tasks'
    kinds = {'letters': suite.mmlu, 'texts': suite.logiqa}
    for how, choices in kinds.items():
        rows = [{'context': c, 'options': [o[1:] for o in options], 'right': x.answer} for x in choices for c, options in [ask(x, how)]]
        write_atomic(tasks/f'{how}.jsonl', ''.join(json.dumps(r) + '\n' for r in rows))
        write_atomic(tasks/f'{how}.yaml', f'task: same_{how}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tasks.absolute()/how}.jsonl}}}}\ntest_split: test\noutput_type: multiple_choice\n'
                     'doc_to_text: "{{context}}"\ndoc_to_choice: "{{options}}"\ndoc_to_target: right\nmetric_list: [{metric: acc}, {metric: acc_norm}]\n')
    theirs = {r['task']: r for r in run_lm_eval(student_folder('qwen3-tiny'), work/'lm-out', python=python, tasks=[f'same_{h}' for h in kinds], include=tasks, batch=8)}
    model, tokenizer = load_student('qwen3-tiny')
    rows = []
    for how, choices in kinds.items():
        scores = [option_scores(model, tokenizer, c, how, 4096) for c in choices]
        ours, r = [float(max(range(4), key=lambda j: s[j]) == c.answer) for s, c in zip(scores, choices)], theirs[f'same_{how}']
        rows.append({'asked by': how, 'metric': r['metric'], 'items': r['n'], 'equal': sum(a == b for a, b in zip(ours, r['items'])), 'ours': sum(ours)/len(ours), 'lm-eval': r['value']})
        print(rows[-1])
    version = subprocess.run([python, '-c', 'import importlib.metadata as m; print(m.version("lm-eval"))'], capture_output=True, text=True, check=True).stdout.strip()
    write_atomic(RECORDED/'lm_eval_check.jsonl', ''.join(json.dumps(r) + '\n' for r in [{'kind': 'lm-eval check', 'lm-eval': version, 'student': 'qwen3-tiny', 'commit': commit(), 'command': command('lm-eval --python PYTHON'), 'environment': environment()}, *rows]))


def main():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['best-teacher', 'avg16', 'forgetting', 'lm-eval']); p.add_argument('--work', type=Path, default=Path('runs')/'scores'); p.add_argument('--words', type=Path); p.add_argument('--python'); p.add_argument('--only', default='', choices=['', 'toy', 'words', 'none'])
    a = p.parse_args()
    if a.what == 'best-teacher': best_teacher(a.work, a.only, a.words)
    elif a.what == 'avg16': avg16(a.work, a.words)
    elif a.what == 'lm-eval': lm_eval(a.python, a.work)
    else: forgetting(a.words)


if __name__ == '__main__': main()
