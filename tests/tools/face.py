"""What a researcher types first, run cell by cell in a fresh JupyterLab: how each shows itself and how long it takes.

The lines are those of the README (nbs/index.ipynb) and of nbs/app/03_explore.ipynb, as they stand there; a cell for
each, and one for each object that they make and that is to show itself.
"""
import ast, re
from dataclasses import dataclass

from browser import Notebook
from project import ROOT, cells

# after the line that begins so: what is looked at, by name
LOOKED_AT = {'lab = ': {'student': 'lab.student', 'teacher': 'lab.teachers[0]', 'trace': 'lab.teachers[0].traces[0]'},
             'branch = ': {'branch': 'branch'}, 'merged = ': {'merge': 'merged'}, 'run = ': {'run': 'run'}}
SHOWN_BY = {'answers': 'merged.answers', 'accuracy': 'merged.accuracy', 'comparison': 'merged.compare',
            'versus': 'run.versus', 'curves': 'run.curves', 'answers of a run': 'run.answers'}   # lines of their own
# a lab for other students: what its lines name otherwise
CHANGES = {'toy': {}, 'smollm2-135m': {"'toy'": "'smollm2-135m'", "'plain'": "'worked'"}}


def statements(source):
    "The statements of a cell, each as it stands there, without comments."
    return [ast.get_source_segment(source, s) for s in ast.parse(source).body]


def face_lines(root=ROOT):
    "What README and nbs/app/03_explore.ipynb say to type, each line once, in the order in which it works."
    front = next(s for kind, s in cells(root/'nbs'/'index.ipynb') if kind == 'code' and 'mot.Lab(' in s)
    head = re.search(r'```python\n(.*?)```', cells(root/'nbs'/'app'/'03_explore.ipynb')[0][1], re.S)[1]
    lines, before = statements(front), ''
    for line in statements(head):
        if line not in lines: lines.insert(lines.index(before) + 1, line)
        before = line
    return lines


def cell_name(line):
    "What a line shows, if it is a line that shows something."
    return next((name for name, start in SHOWN_BY.items() if line.startswith(start + '(')), '')


def face_cells(preset, until=None): # until: how the first line begins that is left out; None: all are run
    "[(name of what is shown or '', source)] of the notebook for a lab."
    found = []
    for line in face_lines():
        if until and line.startswith(until): break
        for old, new in CHANGES[preset].items(): line = line.replace(old, new)
        found.append((cell_name(line), line))
        for start, looks in LOOKED_AT.items():
            if line.startswith(start): found += looks.items()
    return found


@dataclass(frozen=True)
class Cell:
    "A cell that was run."
    shows: str          # name of what it shows; '' for none
    source: str         # its line
    seconds: float      # until JupyterLab had its result
    cpu: float          # seconds of processor its kernel used meanwhile
    outputs: list       # as nbformat has them

    def error(self):
        "Its error as text, or ''."
        return next((f"{o['ename']}: {o['evalue']}" for o in self.outputs if o['output_type'] == 'error'), '')

    def html(self):
        "How it shows itself in HTML; '' where it does not."
        found = (o['data'].get('text/html', '') for o in self.outputs if o['output_type'] == 'execute_result')
        return ''.join(next(found, ''))


def cpu_seconds(process): # psutil.Process
    "Seconds of processor that a process and its finished children have used."
    return sum(process.cpu_times()[:4])


def run_face(lab, folder, preset, seconds=240, until=None):
    "The `Cell`s of the lines for a preset, run one after the other as by Shift-Enter."
    found = face_cells(preset, until)
    name = lab.write('face.ipynb', [source for _, source in found])
    with Notebook(folder, lab, name) as tab:
        kernel, times = lab.kernels()[-1], []
        for _ in found:
            before = cpu_seconds(kernel)
            times.append((tab.run_next(seconds), cpu_seconds(kernel) - before))
        outputs = [c['outputs'] for c in tab.content()['cells']]
    return [Cell(*a, *b, c) for a, b, c in zip(found, times, outputs)]
