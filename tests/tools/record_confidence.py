"""Runs nbs/reports/82_confidence.ipynb on a finished run folder and writes its measurement where the pages look for it.

    mot run long/toy rounds.keep=all rounds.mtd_budgets=[depth] data.n_heldout=0 --out runs/kept
    python tests/tools/record_confidence.py runs/kept data/recorded/confidence/toy.jsonl [NAME=VALUE ...]

NAME=VALUE: parameters of the page, as JSON.
"""
import sys

from pages import record_run_page

if __name__ == '__main__':
    if len(sys.argv) < 3: sys.exit(__doc__)
    record_run_page('82_confidence.ipynb', 'record_confidence.py', sys.argv[1:])
