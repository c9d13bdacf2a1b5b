"""Runs nbs/reports/83_landscape.ipynb on a finished run folder whose students were kept, and writes its measurement where the pages look for it.

    mot run long/toy rounds.keep=all rounds.mtd_budgets=[depth] data.n_heldout=0 --out runs/kept
    python tests/tools/record_landscape.py runs/kept data/recorded/landscape-toy.jsonl [NAME=VALUE ...]     parameters of the page, as JSON
"""
import json, sys
from pathlib import Path
from mot_nb.app.report import execute_page
from mot_nb.core.errors import MotError

from bench_speed import ROOT, commit, shown

if __name__ == '__main__':
    if len(sys.argv) < 3: sys.exit(__doc__)
    run, record, *more = sys.argv[1:]
    asked = {k: json.loads(v) for k, _, v in (a.partition('=') for a in more)}
    made = json.loads((Path(run)/'manifest.json').read_text())['command']
    name = lambda words: ' '.join(Path(w).name if w.startswith(('/', '~')) else w for w in words.split())
    command = f"{name(made)}; python tests/tools/record_landscape.py {name(' '.join([run, record, *more]))}"
    out = Path(run)/'83_landscape.ipynb'
    try: execute_page(ROOT/'nbs'/'reports'/'83_landscape.ipynb', out, {'run': str(Path(run).resolve()), 'record': str(Path(record).resolve()), 'surfaces': str(Path(run).resolve()/'surfaces'), 'commit': commit(), 'command': command, **asked})
    except MotError as e: sys.exit(str(e))
    for cell in json.loads(out.read_text())['cells']:
        for text in shown(cell):
            if text.strip(): print(text, '\n')
