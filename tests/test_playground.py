"The playground: its buttons in a real JupyterLab, and what a round is."
import time

import pytest
import torch
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook

from browser import KERNELSPEC, Notebook, missing, until
from mot_nb.core.settings import load_settings
from mot_nb.data.corpora import render_corpus
from mot_nb.data.toy import toy_problems
from mot_nb.data.worlds import World, world_corpus
from mot_nb.core.hashes import derive_seed
from mot_nb.methods.playground import Playground, play_round
from mot_nb.student.branch import Branch
from mot_nb.student.stacked import flatten
from mot_nb.student.weights import student_state

CELL = 'from mot_nb.views.playground_view import playground\nplayground()'
PRESS = "[...document.querySelectorAll('button')].find(b => b.textContent.trim() === '{}').click()"
SHOWN = "[...document.querySelectorAll('.widget-html-content')].map(e => e.innerHTML).join(' ')"


def test_a_round_is_a_round_of_the_library():
    "The merged student is the mean of the branches that `Branch` makes from the same rows, in the same order."
    play = play_round(Playground(n=2), teachers=('plain', 'symbols'), steps=3, traces=20)
    settings = load_settings({'train': {'lr': 2e-3, 'steps': 3, 'batch': 8, 'compute': 'float32'}}).train
    world, bench, made = World(5, 'own', filtered=True, traces=20), play.bench, []
    start = {n: t.clone() for n, t in student_state(bench.model).items()}
    for name in ('plain', 'symbols'):
        corpus = world_corpus(world, world.names.index(name), toy_problems(20, 0), 0)
        rows = render_corpus(corpus, bench.tokenizer, 1024)
        seed = derive_seed(derive_seed('playground', 0, 1), 'order', name)
        branch = Branch(bench.model, rows, settings, 3, seed=seed, state=start, label=name)
        branch.train(3)
        made.append(flatten(bench.shape, branch.weights()))
        branch.close()
    torch.testing.assert_close(play.here.student, torch.stack(made).mean(0), atol=1e-5, rtol=0)


@pytest.mark.long
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_buttons_make_rounds(lab, tmp_path):
    "*one round* changes picture and words, *back* returns to them, *as code* says how one came there."
    write(new_notebook(cells=[new_code_cell(CELL)], metadata=KERNELSPEC), lab.folder/'play.ipynb')
    with Notebook(tmp_path, lab, 'play.ipynb') as tab:
        tab.run_all()
        assert tab.errors() == []
        there = lambda words: lambda: words in (now := tab.js(SHOWN)) and now
        before = until(there('base: the merged student'), 60, 'the playground')
        start = time.monotonic()
        tab.js(PRESS.format('one round'))
        after = until(there('round 1: the merged student'), 60, 'a round')
        print(f'a round: {time.monotonic() - start:.1f} s')
        assert after != before and after.count('<img') == 1
        tab.js(PRESS.format('as code'))
        until(there('play_round(play)'), 30, 'the lines of code')
        tab.js(PRESS.format('back'))
        until(there('base: the merged student'), 30, 'the base student')
