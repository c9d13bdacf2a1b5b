"""Multi-teacher distillation: Merge-of-Thought (MoT) and the methods it is compared with.

    methods/methods.py     the algorithm: `merge_of_thought`, and single teachers, union, one-shot merge, each a loop
    methods/lab.py         the verbs of these loops: `train`, `merge`, `step`, `mark`; what is missing is made
    methods/parts.py       what a loop takes as arguments: who is introduced, which rows, the outer step; `part`
    methods/maker.py       what makes the students that were asked for; methods/device.py: on one device
    student/operators.py   how branches are merged: mean, task arithmetic, TIES, DARE, model stock
    student/branch.py      one branch: the optimiser steps on a teacher's traces; student/loss.py: its loss
    core/settings.py       every setting of a run, with its default
    answers/scores.py      accuracy and its intervals; analysis/: the paper's claims; app/: `Lab`, reports, command line

Each module is written in a notebook: methods/methods.py in nbs/methods/03_methods.ipynb. The names below
(`mot_nb.Lab`, `mot_nb.merge_of_thought`, `mot_nb.part` ...) are those of app/face.py, loaded when they are used.
"""
__version__ = "0.1.0"


def __getattr__(name):
    from .app.face import look_up
    return look_up(name)


def __dir__():
    from .app.face import NAMES
    return [*globals(), *NAMES]
