"""Grades real gold answers, written otherwise and made wrong, and real solutions whose marks are known.

    python tests/tools/check_grader.py FOLDER
    python tests/tools/check_grader.py traps

FOLDER holds competition/{aime24,aime25,amc23,math_500}.jsonl (columns problem, answer) and
gsm8k/example_model_solutions.jsonl (openai/grade-school-math); what is missing is left out and said. The counts go to
data/recorded/checks/grader.jsonl. The files are not shipped: the record keeps their hashes. A wrong variant that was
taken for right is written out, so that a person can see whether it is.

`traps` grades data/grader_traps.jsonl with this project's grader and with math-verify alone (what it parses from the
answer between dollar signs, or from the whole text), writes math-verify's verdicts into the list and the counts by kind
beside the others. Each command keeps the other's rows.
"""
import json, logging, re, sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from mot_nb.core.files import data_folder, read_lines, write_atomic
from mot_nb.core.hashes import hash_file
from mot_nb.core.machine import environment
from mot_nb.core.records import read_recorded, write_recorded
from mot_nb.data.problem_sets import problems_of
from mot_nb.data.problems import is_correct, same_answer
from pages import RECORDED, commit

SETS = {'aime24': 'aime24', 'aime25': 'aime25', 'amc23': 'amc23', 'math500': 'math_500'}
FRACTION = re.compile(r'\\[dt]?frac\{(-?\d+)\}\{(\d+)\}')
RECORD, TRAPS = RECORDED/'checks'/'grader.jsonl', data_folder()/'grader_traps.jsonl'
INTERVAL = re.compile(r'(\\left)?([(\[])([^,]+),([^,]+?)(\\right)?([)\]])')


def same_integer(n):
    "Ways of writing an integer."
    out = {f'{n}.0', f'{n}.00', f'{2*n}/2', f'\\frac{{{3*n}}}{{3}}', f'x = {n}', f'{n} \\text{{ units}}'}
    if n > 0: out.add(f'+{n}')
    if abs(n) >= 1000: out |= {f'{n:,}', f'{n:,}'.replace(',', '{,}'), f'{n:,}'.replace(',', ',\\!')}
    return out


def same_fraction(a, b):
    "Ways of writing a fraction."
    out = {f'{a}/{b}', f'\\frac{{{2*a}}}{{{2*b}}}', f'{a}/{b}\\text{{ cm}}'}
    if 1000 % b == 0: out.add(f'{a/b:g}')
    return out


def same(gold):
    "Ways of writing an answer that mean the same."
    out = {gold, f' {gold} ', f'{gold}.', gold.replace('\\frac', '\\dfrac'),
           gold.replace('\\dfrac', '\\frac').replace('\\frac', '\\tfrac'),
           gold.replace('\\left', '').replace('\\right', '')}
    if ',' in gold and '(' in gold: out |= {gold.replace(', ', ','), gold.replace(',', ', ')}
    if re.fullmatch(r'-?\d+', gold): out |= same_integer(int(gold))
    if m := FRACTION.fullmatch(gold): out |= same_fraction(int(m[1]), int(m[2]))
    if m := re.fullmatch(r'\\text\{(.*)\}', gold): out |= {m[1], f'\\mathrm{{{m[1]}}}', f'\\textbf{{{m[1]}}}'}
    return out


def other_integer(n):
    "Answers beside an integer."
    square = int((abs(n) + 1)**.5)**2 == abs(n) + 1
    return {str(n + 1), str(n - 1), str(-n) if n else '2', str(10*n) if n else '10', f'{n}.5', f'{n}1',
            f'\\frac{{{n}}}{{7}}' if n else '1/7', f'{n + 2}i' if square else f'\\sqrt{{{abs(n) + 1}}}'}


def other_fraction(a, b):
    "Answers beside a fraction."
    out = {f'\\frac{{{a + 1}}}{{{b}}}', f'\\frac{{{a}}}{{{b + 1}}}', f'-\\frac{{{a}}}{{{b}}}', str(a)}
    if abs(a) != b and a: out.add(f'\\frac{{{b}}}{{{a}}}')
    return out


def other_interval(left, a, b, right):
    "Answers beside a pair or an interval."
    out = {f'{left}{a},{b} + 1{right}', f'{left}{a}{right}'}
    if a != b: out.add(f'{left}{b},{a}{right}')
    return out


def other(gold):
    "Answers that mean something else."
    if re.fullmatch(r'-?\d+', gold): out = other_integer(int(gold))
    elif m := FRACTION.fullmatch(gold): out = other_fraction(int(m[1]), int(m[2]))
    elif m := INTERVAL.fullmatch(gold): out = other_interval(m[2], m[3].strip(), m[4].strip(), m[6])
    elif re.fullmatch(r'\\text\{\(?[A-Z]\)?\}', gold):
        letter = re.search('[A-Z]', gold.removeprefix('\\text'))[0]
        out = {gold.replace(letter, 'ABCDEFG'[('ABCDEFG'.find(letter) + 1) % 7])}
    else: out = set() if 'text' in gold else {f'{gold} + 1', f'2({gold})'}
    return out - same(gold)


def said(value):
    "An answer as a model ends with it."
    return f'Therefore the final answer is $\\boxed{{{value}}}$.'


def graded(name, problems):
    "One row: how many variants were graded, and which of them wrongly."
    right = [(p.answer, v) for p in problems for v in same(p.answer)]
    wrong = [(p.answer, v) for p in problems for v in other(p.answer)]
    return {'set': name, 'problems': len(problems),
            'right': len(right), 'right_missed': [[a, v] for a, v in right if not is_correct(a, said(v))],
            'wrong': len(wrong), 'wrong_passed': [[a, v] for a, v in wrong if is_correct(a, said(v))]}


def solutions(path):
    "One row: solutions whose published mark is another than ours."
    counts, differ, rows = Counter(), [], read_lines(path)
    for i, r in enumerate(rows):
        gold = r['ground_truth'].rsplit('A:', 1)[1].strip()
        for model, s in r.items():
            if not isinstance(s, dict): continue
            counts[model] += 1
            if is_correct(gold, s['solution'].replace('\nA:', '\n####')) == s['is_correct']: continue
            differ.append([i, model, gold, s['solution'][-60:]])
    return {'set': 'gsm8k solutions', 'problems': len(rows), 'solutions': sum(counts.values()), 'differ': differ}


def by_math_verify(trap):
    "Whether math-verify alone takes what a model wrote for right; False where it gives up."
    from math_verify import parse, verify
    said = trap['text'] if 'text' in trap else f"${trap['answer']}$"
    try: return bool(verify(parse(f"${trap['gold']}$"), parse(said)))
    except Exception: return False


def by_this_project(trap):
    "Whether this project's grader does."
    if 'text' in trap: return is_correct(trap['gold'], trap['text'])
    return same_answer(trap['gold'], trap['answer'], 30.)


def counted(traps, ours): # with math-verify's verdicts; this project's
    "One row per kind: how many pairs are right and wrong, and how many of each both graders grade so."
    rows = {}
    for t, own in zip(traps, ours):
        r = rows.setdefault(t['kind'], {'set': 'traps', 'kind': t['kind'], 'pairs': [0, 0], 'ours': [0, 0],
                                        'math_verify': [0, 0]})
        side = 0 if t['right'] else 1
        r['pairs'][side] += 1
        r['ours'][side] += own == t['right']
        r['math_verify'][side] += t['math_verify'] == t['right']
    return list(rows.values())


def grade_traps():
    "Fills in math-verify's verdicts and records the counts; 1 where this project's grader is wrong."
    logging.disable(logging.CRITICAL)
    traps = [{**t, 'math_verify': by_math_verify(t)} for t in read_lines(TRAPS)]
    write_atomic(TRAPS, ''.join(json.dumps(t, ensure_ascii=False) + '\n' for t in traps))
    ours = [by_this_project(t) for t in traps]
    rows = counted(traps, ours)
    for r in rows: print(json.dumps(r))
    record(rows, {'grader_traps.jsonl': hash_file(TRAPS)}, math_verify=version('math-verify'))
    return int(any(own != t['right'] for own, t in zip(ours, traps)))


def record(rows, files, **more):
    "Writes the rows of one command into the record; those of the other stay."
    head, before = read_recorded(RECORD) if RECORD.exists() else ({}, [])
    mine, old = {r['set'] == 'traps' for r in rows}, head.get('commit') or ''
    kept = [r for r in before if (r['set'] == 'traps') not in mine]
    gold, traps = (old.partition('; traps ')[::2] if kept else ('', ''))
    made = f'{gold}; traps {commit()}' if True in mine else f'{commit()}; traps {traps}' if traps else commit()
    rows = [*kept, *rows] if True in mine else [*rows, *kept]
    write_recorded(RECORD, 'grader on gold answers', rows, made, 'python tests/tools/check_grader.py FOLDER; '
                   'python tests/tools/check_grader.py traps', environment(), files={**head.get('files', {}), **files},
                   **{'math_verify': head.get('math_verify'), **more})


def main(folder):
    "The counts, set by set."
    rows, files = [], {}
    jobs = {folder/'competition'/f'{file}.jsonl': (lambda p, name=name: graded(name, problems_of(read_lines(p), name)))
            for name, file in SETS.items()}
    for path, count in {**jobs, folder/'gsm8k'/'example_model_solutions.jsonl': solutions}.items():
        if not path.exists():
            print(f'not there: {path.name}', file=sys.stderr)
            continue
        files[path.name] = hash_file(path)
        rows.append(count(path))
        print(json.dumps(rows[-1]), flush=True)
    if rows: record(rows, files)


if __name__ == '__main__':
    if len(sys.argv) != 2: sys.exit(__doc__)
    sys.exit(grade_traps() if sys.argv[1] == 'traps' else main(Path(sys.argv[1])))
