"""Grades real gold answers, written otherwise and made wrong, and real solutions whose marks are known; writes the counts to data/recorded/grader_gold.jsonl.

    python tests/tools/check_grader.py FOLDER     with competition/{aime24,aime25,amc23,math_500}.jsonl (columns problem, answer) and gsm8k/example_model_solutions.jsonl
                                            (openai/grade-school-math); what is missing is left out and said

The files are not shipped: the record keeps their hashes. A wrong variant that was taken for right is written out, so that a person can see whether it is.
"""
import json, re, sys
from collections import Counter
from pathlib import Path

import house
from mot_nb.data.problem_sets import problems_of
from mot_nb.data.problems import is_correct
from mot_nb.core.hashes import hash_file
from mot_nb.core.files import read_lines, write_atomic
from mot_nb.core.machine import environment
from record_scores import commit

SETS = {'aime24': 'aime24', 'aime25': 'aime25', 'amc23': 'amc23', 'math500': 'math_500'}
FRACTION = re.compile(r'\\[dt]?frac\{(-?\d+)\}\{(\d+)\}')


def same(gold):
    "Ways of writing an answer that mean the same."
    out = {gold, f' {gold} ', f'{gold}.', gold.replace('\\frac', '\\dfrac'), gold.replace('\\dfrac', '\\frac').replace('\\frac', '\\tfrac'), gold.replace('\\left', '').replace('\\right', '')}
    if ',' in gold and '(' in gold: out |= {gold.replace(', ', ','), gold.replace(',', ', ')}
    if re.fullmatch(r'-?\d+', gold):
        n = int(gold)
        out |= {f'{n}.0', f'{n}.00', f'{2*n}/2', f'\\frac{{{3*n}}}{{3}}', f'x = {n}', f'{n} \\text{{ units}}', f'+{n}' if n > 0 else gold}
        if abs(n) >= 1000: out |= {f'{n:,}', f'{n:,}'.replace(',', '{,}'), f'{n:,}'.replace(',', ',\\!')}
    if m := FRACTION.fullmatch(gold):
        a, b = int(m[1]), int(m[2])
        out |= {f'{a}/{b}', f'\\frac{{{2*a}}}{{{2*b}}}', f'{a}/{b}\\text{{ cm}}'}
        if 1000 % b == 0: out.add(f'{a/b:g}')
    if m := re.fullmatch(r'\\text\{(.*)\}', gold): out |= {m[1], f'\\mathrm{{{m[1]}}}', f'\\textbf{{{m[1]}}}'}
    return out


def other(gold):
    "Answers that mean something else."
    out = set()
    if re.fullmatch(r'-?\d+', gold):
        n = int(gold)
        out |= {str(n + 1), str(n - 1), str(-n) if n else '2', str(10*n) if n else '10', f'{n}.5', f'{n}1', f'\\frac{{{n}}}{{7}}' if n else '1/7', f'\\sqrt{{{abs(n) + 1}}}' if int((abs(n) + 1)**.5)**2 != abs(n) + 1 else f'{n + 2}i'}
    elif m := FRACTION.fullmatch(gold):
        a, b = int(m[1]), int(m[2])
        out |= {f'\\frac{{{a + 1}}}{{{b}}}', f'\\frac{{{a}}}{{{b + 1}}}', f'-\\frac{{{a}}}{{{b}}}', str(a)}
        if abs(a) != b and a: out.add(f'\\frac{{{b}}}{{{a}}}')
    elif m := re.fullmatch(r'(\\left)?([(\[])([^,]+),([^,]+?)(\\right)?([)\]])', gold):
        a, b = m[3].strip(), m[4].strip()
        if a != b: out.add(f'{m[2]}{b},{a}{m[6]}')
        out |= {f'{m[2]}{a},{b} + 1{m[6]}', f'{m[2]}{a}{m[6]}'}
        if m[2] != m[6].translate(str.maketrans(')]', '([')) or 'infty' in gold: out.add(f"{'[' if m[2] == '(' else '('}{a},{b}{m[6]}")   # an interval: the other bracket is another set
    elif re.fullmatch(r'\\text\{\(?[A-Z]\)?\}', gold):
        letter = re.search('[A-Z]', gold.removeprefix('\\text'))[0]
        out.add(gold.replace(letter, 'ABCDEFG'[('ABCDEFG'.find(letter) + 1) % 7]))
    elif 'text' not in gold: out |= {f'{gold} + 1', f'2({gold})'}
    return out - same(gold)


def main(folder):
    "The counts, set by set."
    rows, files = [], {}
    for name, file in SETS.items():
        path = folder/'competition'/f'{file}.jsonl'
        if not path.exists(): print(f'not there: {path.name}', file=sys.stderr); continue
        files[path.name] = hash_file(path)
        problems = problems_of(read_lines(path), name)
        said, counts, missed, wrong = lambda v: f'Therefore the final answer is $\\boxed{{{v}}}$.', Counter(), [], []
        for p in problems:
            for v in same(p.answer):
                counts['right'] += 1
                if not is_correct(p.answer, said(v)): missed.append([p.answer, v])
            for v in other(p.answer):
                counts['wrong'] += 1
                if is_correct(p.answer, said(v)): wrong.append([p.answer, v])
        rows.append({'set': name, 'problems': len(problems), 'right': counts['right'], 'right_missed': missed, 'wrong': counts['wrong'], 'wrong_passed': wrong})
        print(json.dumps(rows[-1]), flush=True)
    path = folder/'gsm8k'/'example_model_solutions.jsonl'
    if path.exists():
        files[path.name] = hash_file(path)
        counts, differ = Counter(), []
        for i, r in enumerate(read_lines(path)):
            gold = r['ground_truth'].rsplit('A:', 1)[1].strip()
            for model, s in r.items():
                if not isinstance(s, dict): continue
                counts[model] += 1
                if is_correct(gold, s['solution'].replace('\nA:', '\n####')) != s['is_correct']: differ.append([i, model, gold, s['solution'][-60:]])
        rows.append({'set': 'gsm8k solutions', 'problems': i + 1, 'solutions': sum(counts.values()), 'differ': differ})
        print(json.dumps(rows[-1]), flush=True)
    head = {'kind': 'grader on gold answers', 'commit': commit(), 'command': 'python tests/tools/check_grader.py FOLDER', 'files': files, 'environment': environment()}
    write_atomic(house.ROOT/'data'/'recorded'/'grader_gold.jsonl', ''.join(json.dumps(r) + '\n' for r in [head, *rows]))


if __name__ == '__main__': sys.exit(main(Path(sys.argv[1])) if len(sys.argv) == 2 else __doc__)
