"What scripts that record share: the checkout's commit, parameters from a command line, a page run and shown as text."
import json, subprocess, sys
from pathlib import Path

import house
from mot_nb.app.pages import execute_page
from mot_nb.core.errors import MotError

TEMPLATES, RECORDED = house.ROOT/'nbs'/'reports', house.ROOT/'data'/'recorded'


def git(*words):
    "What git says of the checkout; '' outside git."
    done = subprocess.run(['git', '-C', str(house.ROOT), *words], capture_output=True, text=True)
    return done.stdout.strip()


def commit():
    "The checkout's commit, with a mark where files differ from it; '' outside git."
    changed = git('status', '--porcelain', '--untracked-files=no')
    return git('rev-parse', '--short=12', 'HEAD') + (' with local changes' if changed else '')


def parameters(words): # NAME=VALUE of a command line; values as JSON, or text
    "{name: value} of a page's parameters."
    def value(text):
        try: return json.loads(text)
        except ValueError: return text
    return {name: value(text) for name, _, text in (w.partition('=') for w in words)}


def shown(cell): # of a notebook, as a dict
    "What a cell displays, as text."
    for output in cell.get('outputs', []):
        data = output.get('data', {})
        plain = ''.join(data.get('text/plain', ''))
        if 'text/markdown' in data and 'text/html' not in data: yield ''.join(data['text/markdown']).replace('**', '')
        elif 'image/png' not in data and 'Picture' not in plain: yield plain


def run_page(template, # file in nbs/reports
             out,      # the notebook to write
             params):  # its parameters
    "Runs a page and prints what it shows; leaves with the error where it stops; returns the notebook's path."
    try: page = execute_page(TEMPLATES/template, out, params)
    except MotError as e: sys.exit(str(e))
    for cell in json.loads(page.read_text())['cells']:
        for text in shown(cell):
            if text.strip(): print(text, '\n')
    return page


def without_folders(command):
    "A command without the folders of this machine."
    return ' '.join(Path(w).name if w.startswith(('/', '~')) else w for w in command.split())


def record_run_page(template, # file in nbs/reports with the parameters run, record, commit and command
                    script,   # name of the script, for the command that is recorded
                    words,    # its command line: RUN RECORD [NAME=VALUE ...]
                    **more):  # further parameters
    "Runs a page on a finished run folder and writes its measurement where the pages look for it."
    run, record, *asked = words
    made = json.loads((Path(run)/'manifest.json').read_text())['command']
    said = [w for w in asked if not w.startswith('kept=')]   # where scores were kept on the way changes no number
    command = f"{without_folders(made)}; python tests/tools/{script} {without_folders(' '.join([run, record, *said]))}"
    params = {'run': str(Path(run).resolve()), 'record': str(Path(record).resolve()), 'commit': commit()}
    run_page(template, Path(run)/template, {**params, 'command': command, **more, **parameters(asked)})
