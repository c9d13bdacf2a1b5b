"""Runs nbs/reports/83_landscape.ipynb on a finished run folder whose students were kept, and writes its measurement.

    mot run long/toy rounds.keep=all rounds.mtd_budgets=[depth] data.n_heldout=0 --out runs/kept
    python tests/tools/record_landscape.py runs/kept data/recorded/landscape/toy.jsonl [NAME=VALUE ...]

NAME=VALUE: parameters of the page, as JSON.
"""
import sys
from pathlib import Path

from pages import record_run_page

if __name__ == '__main__':
    if len(sys.argv) < 3: sys.exit(__doc__)
    surfaces = str(Path(sys.argv[1]).resolve()/'surfaces')
    record_run_page('83_landscape.ipynb', 'record_landscape.py', sys.argv[1:], surfaces=surfaces)
