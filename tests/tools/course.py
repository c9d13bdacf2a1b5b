"""The course's exercises: written from their solutions, so that the two never part.

    python tests/tools/course.py write     write nbs/course/NN_exercises.ipynb from every NN_solutions.ipynb

A solution stands between the comments `# solution` and `# end of solution`; the exercise has dots there. A cell tagged
`check` looks at what was written: it must pass in the solutions and fail in the exercises.
"""
import json, re, sys

import house

FOLDER = house.ROOT/'nbs'/'course'
SOLUTION = re.compile(r'^([ \t]*)# solution\n.*?^[ \t]*# end of solution$', re.M | re.S)


def solutions(folder=FOLDER):
    "The solution notebooks, in the order of the pages."
    return sorted(folder.glob('*_solutions.ipynb'))


def exercises_of(path):
    "The file of the exercises that belong to a solution notebook."
    return path.with_name(path.name.replace('_solutions', '_exercises'))


def as_exercises(nb):
    "The notebook (a dict) with dots for solutions, without outputs, and with the word exercises in its title."
    nb = json.loads(json.dumps(nb))
    for cell in nb['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'code':
            cell['outputs'], cell['execution_count'] = [], None
            source = SOLUTION.sub(r'\1...  # your turn', source)
        cell['source'] = source.splitlines(keepends=True)
    first = nb['cells'][0]
    first['source'] = ''.join(first['source']).replace(': solutions', ': exercises', 1).splitlines(keepends=True)
    return nb


def written(nb):
    "A notebook as nbdev_clean leaves it."
    return json.dumps(nb, sort_keys=True, indent=1, ensure_ascii=False) + '\n'


def read(path):
    "A notebook as a dict."
    return json.loads(path.read_text(encoding='utf-8'))


def run(nb):
    "Runs the code cells one after another in one namespace, also after an error: [(tagged check, error or None)]."
    names, out = {'__name__': '__main__'}, []
    for i, cell in enumerate(nb['cells']):
        if cell['cell_type'] != 'code': continue
        error = None
        try: exec(compile(''.join(cell['source']), f'cell {i}', 'exec'), names)
        except Exception as e: error = e
        out.append(('check' in cell['metadata'].get('tags', []), error))
    return out


if __name__ == '__main__':
    assert sys.argv[1:] == ['write'], __doc__
    for path in solutions():
        exercises_of(path).write_text(written(as_exercises(read(path))), encoding='utf-8')
        print(exercises_of(path).name)
