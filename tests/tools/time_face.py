"""Times what a researcher types first, line by line, in a fresh JupyterLab with an empty cache.

A row per line is added to data/recorded/checks/face.jsonl: wall seconds, and the seconds of processor that the kernel
used, which depend less on what else the machine does.
usage: python tests/tools/time_face.py toy|smollm2-135m
"""
import os, sys, tempfile
from pathlib import Path

from browser import running_lab
from face import run_face
from mot_nb.core.machine import environment
from mot_nb.core.records import add_recorded
from pages import RECORDED, commit

COMMAND = '; '.join(f'python tests/tools/time_face.py {preset}' for preset in ('toy', 'smollm2-135m'))


def row(preset, cell, load):
    "A cell as a row."
    return {'lab': preset, 'line': cell.source, 'shows': cell.shows, 'seconds': round(cell.seconds, 2),
            'cpu_seconds': round(cell.cpu, 2), 'html': bool(cell.html()), 'error': cell.error(), 'commit': commit(),
            'threads': environment()['threads'], 'load': load}


def main(preset):
    "Every line, timed; rows are printed and recorded."
    with tempfile.TemporaryDirectory() as tmp:
        (place := Path(tmp)/'lab').mkdir()
        load = round(os.getloadavg()[0], 1)
        with running_lab(place) as lab: cells = run_face(lab, Path(tmp), preset, 600)
    rows = [row(preset, c, load) for c in cells]
    for r in rows: print(f"{r['seconds']:7.2f} s, {r['cpu_seconds']:6.2f} s of processor: {r['line']}{r['error']}")
    print(f"{sum(r['seconds'] for r in rows):7.1f} s, {sum(r['cpu_seconds'] for r in rows):6.1f} s in all")
    add_recorded(RECORDED/'checks'/'face.jsonl', 'face', rows, commit=commit(), command=COMMAND,
                 environment=environment())


if __name__ == '__main__': main(sys.argv[1])
