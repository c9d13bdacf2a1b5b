"""Runs nbs/reports/85_speed.ipynb at real size beside TRL and mergekit and prints its tables: `make bench`, about 15 minutes on two cores.

    python tests/tools/bench_speed.py [NAME=VALUE ...]     parameters of the page other than those below, as JSON: repeats=1 'branches=[3]'
"""
import json, subprocess, sys
from pathlib import Path
from mot_nb.app.report import execute_page
from mot_nb.core.errors import MotError

ROOT = Path(__file__).resolve().parents[2]
REAL = dict(student='smollm2-135m', batch=8, steps=2, lr=1e-5, branches=[2, 3, 5], rounds=2, round_steps=3, repeats=3, run_repeats=1)

def commit():
    "The checkout's commit, with a mark where files differ from it; '' outside git."
    def git(*a): return subprocess.run(['git', '-C', str(ROOT), *a], capture_output=True, text=True).stdout.strip()
    return git('rev-parse', '--short=12', 'HEAD') + (' with local changes' if git('status', '--porcelain', '--untracked-files=no') else '')

def shown(cell):
    "What a cell displays, as text."
    for o in cell.get('outputs', []):
        data = o.get('data', {})
        if 'text/markdown' in data and 'text/html' not in data: yield ''.join(data['text/markdown']).replace('**', '')
        elif 'image/png' not in data and 'Picture' not in ''.join(data.get('text/plain', '')): yield ''.join(data.get('text/plain', ''))

if __name__ == '__main__':
    asked = {k: json.loads(v) if v[:1] in '[{-0123456789"' else v for k, _, v in (a.partition('=') for a in sys.argv[1:])}
    peers, out = ROOT/'.venv'/'peers'/'bin'/'python', ROOT/'reports'/'speed'
    said = [a for a in sys.argv[1:] if not a.startswith('peers=')]
    params = {**REAL, 'peers': str(peers) if peers.exists() else '', 'commit': commit(), 'command': 'make bench' + (f" BENCH='{' '.join(said)}'" if said else ''), 'record': str(out/'speed.jsonl'), **asked}
    try: page = execute_page(ROOT/'nbs'/'reports'/'85_speed.ipynb', out/'85_speed.ipynb', params)
    except MotError as e: sys.exit(str(e))
    for cell in json.loads(page.read_text())['cells']:
        for text in shown(cell):
            if text.strip(): print(text, '\n')
    print(f'{page.relative_to(ROOT)} shows it with its figure; the numbers lie in {(out/"speed.jsonl").relative_to(ROOT)}')
