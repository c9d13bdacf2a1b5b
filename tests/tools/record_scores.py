"""Records what pages 54, 54a and 54b show: run by hand, never by the tests. Stopped anywhere, the same command resumes.

    python tests/tools/record_scores.py best-teacher --work FOLDER [--only toy|words|none]
        students x corpora x teachers                    -> data/recorded/scores/best-teacher.jsonl
    python tests/tools/record_scores.py avg16 --work FOLDER [--words RUN]
        16 samples per problem                             -> data/recorded/scores/avg16.jsonl
    python tests/tools/record_scores.py forgetting --words RUN
        before and after, offline suite                  -> data/recorded/forgetting/words.jsonl
    python tests/tools/record_scores.py lm-eval --python PYTHON
        the same items by lm-eval                        -> data/recorded/checks/lm-eval.jsonl

PYTHON is one of an environment with lm-eval 0.4.13 and this library's packages. RUN is the finished folder of a run on
the words pool whose students were kept.
"""
import argparse, json, subprocess, sys
from pathlib import Path

from mot_nb.core.hashes import derive_seed, hash_tensors
from mot_nb.core.machine import environment
from mot_nb.core.settings import DataSettings, load_settings
from pages import RECORDED, commit, run_page

BEST = {'toy': dict(students=['toy-tiny', 'toy'], pool='toy', teachers=['plain', 'verbose', 'checker', 'foreign'],
                    corpora=['all', 'short'], seeds=[0, 1, 2, 3, 4], n_train=200, n_heldout=200, steps=50, batch=16,
                    lr=1e-3, max_new_tokens=80),
        'words': dict(students=['smollm2-135m'], pool='words', teachers=['worked', 'narrative', 'equations', 'checker'],
                      corpora=['short', 'long'], seeds=[0, 1], n_train=120, n_heldout=60, steps=10, batch=4, lr=2e-4,
                      max_new_tokens=48)}
KEPT_TOY = {'name': 'toy, every student kept', 'student': {'name': 'toy-tiny'},
            'data': {'pool': 'toy', 'teachers': ['plain', 'verbose', 'checker', 'foreign'], 'n_train': 200,
                     'n_heldout': 60},
            'train': {'lr': 1e-3, 'steps': 10, 'batch': 16, 'compute': 'float32'},
            'rounds': {'rounds': 5, 'keep': 'last'}, 'eval': {'max_new_tokens': 80, 'every_round': False}}
STUDENTS = {'MoT': 'mot-r3', 'STD worked': 'std-worked-r3', 'STD narrative': 'std-narrative-r3',
            'STD equations': 'std-equations-r3', 'MTD (depth)': 'mtd-depth-r3', 'one-shot merge': 'oneshot'}


def command(*words):
    "The command as anyone could type it."
    return ' '.join(['python tests/tools/record_scores.py', *words])


def students_folder(run): # a run folder
    "Where the students of its first seed lie."
    from mot_nb.methods.runs import read_run, seed_folder
    return seed_folder(run, read_run(run).settings.seeds[0])/'students'


def best_teacher(work, only):
    "Runs the template at real size for each pool, each adding to one file; then adds the recorded run."
    file = RECORDED/'scores'/'best-teacher.jsonl'
    made = {'commit': commit(), 'command': command('best-teacher --work FOLDER')}
    for pool, how in BEST.items():
        if only not in ('', pool): continue
        run_page('80_best_teacher.ipynb', work/f'80_best_teacher-{pool}.ipynb',
                 {**how, 'runs': str(work/'runs'), 'record': str(file), **made})
    add_run(file)


def add_run(file):
    "Adds the single-teacher students of the recorded run on the words pool."
    from mot_nb.analysis.claims import scores_of
    from mot_nb.answers.score_files import read_results, write_results
    from mot_nb.methods.recorded import read_record
    done, place = read_record(RECORDED/'runs'/'words.jsonl')[0], 'all word problems'
    found, s, end = scores_of(done), done.settings, max(r['round'] for r in done.rows)
    asked = [r for r in done.rows
             if r['metric'] == 'accuracy' and r['method'] in ('base', 'std') and r['round'] in (0, end)]
    rows = [dict(student=s.student.name, corpus=place, teacher=r['teacher'], seed=r['seed'],
                 score=found[r['seed'], r['student']]) for r in asked]
    part = dict(students=[s.student.name], pool='words', teachers=list(s.data.teachers), corpora=['all'],
                seeds=list(s.seeds), n_train=s.data.n_train, n_heldout=s.data.n_heldout,
                steps=s.rounds.rounds*s.train.steps, batch=s.train.batch, lr=s.train.lr,
                max_new_tokens=s.eval.max_new_tokens, run='data/recorded/runs/words.jsonl')
    head, old = read_results(file)
    head['parts'] = [p for p in head.get('parts', []) if not p.get('run')] + [part]
    write_results(file, [r for r in old if r['corpus'] != place] + rows, **head)


def sixteen(name, folder, pool, prompts, path, **how):
    "Marks of 16 samples per problem of one student."
    from mot_nb.answers.sampling import sample_problems
    from mot_nb.answers.scores import grade, score_marks
    from mot_nb.student.students import load_student
    from mot_nb.student.weights import student_state
    def told(done, total, left):
        if done % 64 == 0: print(f'{name}: {done}/{total}, {left:.0f} s left', file=sys.stderr)
    model, tokenizer = load_student(str(folder))
    weights = hash_tensors(student_state(model))
    samples = sample_problems(model, tokenizer, prompts, path, weights, k=16, seed=derive_seed('avg16'), progress=told,
                              **how)
    marks = grade(pool.heldout, samples)
    cut = [s.truncated for x in samples.values() for s in x]
    return marks, score_marks(marks, sum(cut)/len(cut), weights, name)


def toy_set(work):
    "(students of a run made here, data, decoding)."
    from mot_nb.methods.runs import run
    label = {'base': 'base', 'mot': 'MoT', 'mtd': 'MTD (depth)', 'oneshot': 'one-shot merge'}
    s = load_settings(KEPT_TOY)
    rows = [r for r in run(s, work/'toy').rows if r['metric'] == 'accuracy']
    place = lambda r: 'toy-tiny' if r['method'] == 'base' else students_folder(work/'toy')/r['student']
    students = [(label.get(r['method'], f"STD {r['teacher']}"), place(r)) for r in rows]
    return students, s.data, dict(temperature=.6, top_p=.95, max_new_tokens=80, batch=480)


def words_set(run):
    "(SmolLM2 before and after MoT, data, decoding)."
    students = [('base', 'smollm2-135m'), ('MoT', students_folder(run)/'mot-r3')]
    data = DataSettings(pool='words', teachers=('worked',), n_heldout=30)
    return students, data, dict(temperature=.6, top_p=.95, max_new_tokens=48, batch=64)


def avg16(work, words):
    "16 samples per problem: the toy students of a run made here, and SmolLM2 before and after MoT."
    from mot_nb.answers.score_files import write_results
    from mot_nb.data.pools import load_pool, prompt_of
    rows = []
    for name, (students, data, how) in {'toy': toy_set(work), **({'words': words_set(words)} if words else {})}.items():
        pool = load_pool(data, 0)
        prompts = {p.id: prompt_of(pool, p) for p in pool.heldout}
        for student, folder in students:
            path = work/'samples'/f"{name}-{student.replace(' ', '-')}.jsonl"
            marks, score = sixteen(student, folder, pool, prompts, path, **how)
            print(score)
            rows.append({'set': name, 'student': student, 'sampling': how, 'marks': marks, 'score': score})
            write_results(RECORDED/'scores'/'avg16.jsonl', rows, commit=commit(), environment=environment(),
                          command=command('avg16 --work FOLDER --words RUN'))


def forgetting(words):
    "The offline suite on the base and on every student of the run."
    from mot_nb.analysis.forgetting import forgetting_table, measure_students
    from mot_nb.analysis.suite import make_suite
    students, kept = {'base': ('smollm2-135m', {'method': 'base'})}, students_folder(words)
    for label, name in STUDENTS.items():
        method, *teacher = label.split()
        what = {'method': method.lower(), 'teacher': teacher[0] if method == 'STD' else None, 'seed': 0}
        if (kept/name).exists(): students[label] = (kept/name, what)
    found = measure_students(students, make_suite(48, 16, 12, 20), RECORDED/'forgetting'/'words.jsonl',
                             lambda t: print(t, file=sys.stderr), commit=commit(), run=words.name,
                             command=command('forgetting --words RUN'))
    print(forgetting_table(found))


LM_TASK = """task: same_{how}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tasks}/{how}.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{options}}}}"
doc_to_target: right
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""


def write_tasks(kinds, tasks):
    "Writes the items as tasks of lm-eval."
    from mot_nb.analysis.suite import ask
    from mot_nb.core.files import write_atomic
    for how, choices in kinds.items():
        rows = [{'context': c, 'options': [o[1:] for o in options], 'right': x.answer}
                for x in choices for c, options in [ask(x, how)]]
        write_atomic(tasks/f'{how}.jsonl', ''.join(json.dumps(r) + '\n' for r in rows))
        write_atomic(tasks/f'{how}.yaml', LM_TASK.format(how=how, tasks=tasks.absolute()))


def lm_eval(python, work):
    "Items of the suite asked by lm-eval and by this library, item by item, on a tiny student with random weights."
    from mot_nb.analysis.lm_eval import run_lm_eval
    from mot_nb.analysis.suite import make_suite, option_scores
    from mot_nb.core.records import write_recorded
    from mot_nb.student.students import load_student, student_folder
    suite, tasks, rows = make_suite(60, 30, 4, 4), work/'lm-tasks', []
    kinds = {'letters': suite.mmlu, 'texts': suite.logiqa}
    write_tasks(kinds, tasks)
    theirs = run_lm_eval(student_folder('qwen3-tiny'), work/'lm-out', python=python, include=tasks, batch=8,
                         tasks=[f'same_{h}' for h in kinds])
    theirs, (model, tokenizer) = {r['task']: r for r in theirs}, load_student('qwen3-tiny')
    for how, choices in kinds.items():
        scores = [option_scores(model, tokenizer, c, how, 4096) for c in choices]
        ours = [float(max(range(4), key=lambda j: s[j]) == c.answer) for s, c in zip(scores, choices)]
        r = theirs[f'same_{how}']
        rows.append({'asked by': how, 'metric': r['metric'], 'items': r['n'], 'ours': sum(ours)/len(ours),
                     'equal': sum(a == b for a, b in zip(ours, r['items'])), 'lm-eval': r['value']})
        print(rows[-1])
    probe = 'import importlib.metadata as m; print(m.version("lm-eval"))'
    version = subprocess.run([python, '-c', probe], capture_output=True, text=True, check=True).stdout.strip()
    write_recorded(RECORDED/'checks'/'lm-eval.jsonl', 'lm-eval check', rows, commit(),
                   command('lm-eval --python PYTHON'), environment(), **{'lm-eval': version, 'student': 'qwen3-tiny'})


def main():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['best-teacher', 'avg16', 'forgetting', 'lm-eval'])
    p.add_argument('--work', type=Path, default=Path('runs')/'scores')
    p.add_argument('--words', type=Path)
    p.add_argument('--python')
    p.add_argument('--only', default='', choices=['', 'toy', 'words', 'none'])
    a = p.parse_args()
    if a.what == 'best-teacher': best_teacher(a.work, a.only)
    elif a.what == 'avg16': avg16(a.work, a.words)
    elif a.what == 'lm-eval': lm_eval(a.python, a.work)
    else: forgetting(a.words)


if __name__ == '__main__': main()
