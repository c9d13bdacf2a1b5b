"""The course's exercises: written from their solutions, so that the two never part.

    python tests/tools/course.py write     write nbs/course/NN_exercises.ipynb from every solutions/NN_solutions.ipynb

A solution stands between the comments `# solution` and `# end of solution`; the exercise has dots there. A cell tagged
`check` looks at what was written: it must pass in the solutions and fail in the exercises, with a sentence.
"""
import ast, json, re, sys

import house

FOLDER = house.ROOT/'nbs'/'course'
SOLUTION = re.compile(r'^([ \t]*)# solution\n.*?^[ \t]*# end of solution$', re.M | re.S)


def solutions(folder=FOLDER):
    "The solution notebooks, in the order of the pages."
    return sorted((folder/'solutions').glob('*_solutions.ipynb'))


def exercises_of(path):
    "The file of the exercises that belong to a solution notebook."
    return path.parent.parent/path.name.replace('_solutions', '_exercises')


def as_exercises(nb):
    "The notebook (a dict) with dots for solutions, without outputs, with the word exercises in its title."
    nb = json.loads(json.dumps(nb))
    for cell in nb['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'code':
            cell['outputs'], cell['execution_count'] = [], None
            source = SOLUTION.sub(r'\1...  # your turn', source)
        cell['source'] = source.replace('](../../', '](../').splitlines(keepends=True)
    first = nb['cells'][0]
    first['source'] = ''.join(first['source']).replace(': solutions', ': exercises', 1).splitlines(keepends=True)
    return nb


def written(nb):
    "A notebook as nbdev_clean leaves it."
    return json.dumps(nb, sort_keys=True, indent=1, ensure_ascii=False) + '\n'


def read(path):
    "A notebook as a dict."
    return json.loads(path.read_text(encoding='utf-8'))


def source_of(cell):
    "A cell's text."
    return ''.join(cell['source'])


def is_check(cell):
    "Whether a cell is tagged as the check of an exercise."
    return 'check' in cell['metadata'].get('tags', [])


def run(nb):
    "Runs the code cells one after another in one namespace, also after an error: [(tagged check, error or None)]."
    names, out = {'__name__': '__main__'}, []
    for i, cell in enumerate(nb['cells']):
        if cell['cell_type'] != 'code': continue
        error = None
        try: exec(compile(source_of(cell), f'cell {i}', 'exec'), names)
        except Exception as e: error = e
        out.append((is_check(cell), error))
    return out


def tasks(nb):
    "{name of the function to write: (cell with its solution, the code after it down to its check)} of solutions."
    found, last, after = {}, None, []
    for cell in nb['cells']:
        if cell['cell_type'] != 'code': continue
        if SOLUTION.search(source_of(cell)): last, after = cell, []
        else: after.append(source_of(cell))
        if is_check(cell): found[function_of(last).name] = (last, '\n'.join(after))
    return found


def function_of(cell):
    "The function of a cell, as a syntax tree, that holds the solution."
    source = source_of(cell)
    line = source[:SOLUTION.search(source).start()].count('\n') + 1
    functions = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    return next(f for f in functions if f.lineno <= line <= f.end_lineno)


if __name__ == '__main__':
    assert sys.argv[1:] == ['write'], __doc__
    for path in solutions():
        exercises_of(path).write_text(written(as_exercises(read(path))), encoding='utf-8')
        print(exercises_of(path).name)
