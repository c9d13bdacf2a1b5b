"The playground: its buttons in a real JupyterLab, what a round is, and the same with a language model."
import importlib.util
import time
from functools import partial

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
from mot_nb.answers.sampling import Sample
from mot_nb.data.pools import load_pool
from mot_nb.methods import words_playground
from mot_nb.methods.device import Device
from mot_nb.methods.playground import (Playground, compare_states, go_back, keep_state, play_round,
                                       playground_code)
from mot_nb.methods.words_playground import WordsPlayground
from mot_nb.views import words_playground_view
from mot_nb.views.words_playground_view import WordsButton, words_view
from mot_nb.student.branch import Branch
from mot_nb.student.stacked import flatten
from mot_nb.student.weights import student_state

CELL = 'from mot_nb.views.playground_view import playground\nplayground(student="qwen3-tiny")'
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
    # Adam's first steps are of the size of the rate whatever a gradient's size: rounding shows where it is near zero
    torch.testing.assert_close(play.here.student, torch.stack(made).mean(0), atol=5e-5, rtol=0)


@pytest.mark.long
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_buttons_make_rounds(lab, tmp_path):
    "*one round* changes picture and words, *back* returns, *as code* says how; then a language model beside it."
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
        tab.js(PRESS.format('the same with qwen3-tiny'))     # told by a thread, while the kernel is free
        after = until(there('qwen3-tiny, round 1'), 60, 'a round of a language model')
        until(there('steps 9/9'), 30, 'the line of progress')
        assert after.count('<img') == 2 and tab.errors() == []
        tab.js(PRESS.format('as code'))
        until(there('play_round(words)'), 30, 'its lines of code')


WORDS = dict(teachers=('worked', 'equations'), steps=2, traces=8)
HOSTILE = '<img src=x onerror=alert(1)><script>alert(2)</script> $\\href{javascript:alert(3)}{x}$ \x1b[31m\u202e'


def words(**more):
    "A tiny random language model, small enough for a test."
    return WordsPlayground('qwen3-tiny', n=2, tokens=4, **more)


def tiny_button(monkeypatch):
    "The button of a tiny random student, with few and short answers, and a round begun and ended."
    monkeypatch.setattr(words_playground_view, 'WordsPlayground', partial(WordsPlayground, n=2, tokens=4))
    return WordsButton('qwen3-tiny')


def pressed(button, then=lambda: None):
    "The line in the end."
    seen = []                                # a refusal may be over before the next line
    note = lambda change: seen.append(change['new'])
    button.go.observe(note, 'disabled')
    button.press()
    then()
    button.thread.join(120)
    button.go.unobserve(note, 'disabled')
    assert seen == [True, False] and not button.thread.is_alive() and button.halt.disabled
    return button.line.value


def test_a_round_of_a_language_model_is_a_round_of_the_library():
    "Branches are those that `Branch` makes from the pool's rows, the student is their mean; a length is numpy's."
    play = play_round(words(), **WORDS)
    s = load_settings({'student': {'name': 'qwen3-tiny'}, 'data': {'pool': 'words', 'n_train': 8, 'n_heldout': 2,
                       'teachers': WORDS['teachers']}, 'train': {'lr': 2e-4, 'steps': 2, 'batch': 4}})
    device, made = Device(s.student, s.train), []
    for name, corpus in load_pool(s.data, 0).corpora.items():
        seed = derive_seed(derive_seed('playground', 0, 1), 'order', name)
        branch = device.branch(device.base, render_corpus(corpus, device.tokenizer, 1024), 2, label=name, seed=seed)
        assert [r['loss'] for r in branch.train(2)] == play.here.losses[name]
        made.append(branch.weights())
        branch.close()
    merged = {n: torch.stack([m[n] for m in made]).mean(0) for n in device.base}
    for n, t in merged.items(): torch.testing.assert_close(play.here.student[n], t, atol=1e-6, rtol=0)
    flat = torch.cat([(made[0][n] - device.base[n]).flatten() for n in device.base]).double()
    torch.testing.assert_close(play.here.gram[0, 0], flat @ flat, rtol=1e-4, atol=0)
    assert set(play.here.said) == {'merged', *WORDS['teachers']} and play.here.n == 2


def test_a_state_of_a_language_model_is_kept_and_sent():
    "The lines lead to the same weights; a kept state stands beside the toy's, without the weights."
    play = play_round(words(), **WORDS)
    scope = {'WordsPlayground': WordsPlayground, 'play_round': play_round}
    exec(playground_code(play), scope)
    assert all(torch.equal(t, scope['words'].here.student[n]) for n, t in play.here.student.items())
    keep_state(go_back(play_round(play)), 'base again')
    assert [p.student for p in play.kept['base again']] == [None] and play.here.name == 'base'
    table = str(compare_states(Playground(n=2), play))
    assert 'toy-tiny' in table and 'base again' in table


def test_the_button_makes_a_round(monkeypatch):
    "Progress is told with steps and time left, the views come, a second press begins from the base again."
    button, lines = tiny_button(monkeypatch), []
    button.line.observe(lambda change: lines.append(change['new']), 'value')
    assert 'done' in pressed(button) and 'steps 9/9' in button.line.value
    assert any('step 2, loss' in line and 'left' in line for line in lines), lines
    first = button.play.here.student
    for word in ('<img', 'worked', 'length of update', 'cosine with', 'qwen3-tiny, round 1'):
        assert word in button.shown.value, word
    pressed(button)
    assert len(button.play.path) == 2 and all(torch.equal(t, first[n]) for n, t in button.play.here.student.items())


def test_the_button_can_be_stopped(monkeypatch):
    "A stop in the middle of a branch or of an answer leaves path and picture as they were; the next press works."
    button = tiny_button(monkeypatch)
    pressed(button)
    path, shown = button.play.path, button.shown.value
    button.dials['steps'].value = 4
    for at in ('worked: step 3', 'merged: answers'):
        stop = lambda change, at=at: at in change['new'] and button.stop()
        button.line.observe(stop, 'value')
        assert 'Stopped' in pressed(button)
        button.line.unobserve(stop, 'value')
        assert button.play.path is path and button.shown.value == shown
    button.dials['steps'].value = 1
    assert 'done' in pressed(button)


def test_an_error_is_shown_in_the_widget(monkeypatch):
    "A refusal and an error nobody thought of, escaped; the button lives on."
    button = tiny_button(monkeypatch)
    button.dials['teachers'].value = ()
    assert 'a dial is out of range' in pressed(button)
    button.dials['teachers'].value = ('worked',)
    def broken(*args, **more): raise RuntimeError(HOSTILE)
    with monkeypatch.context() as patch:
        patch.setattr(words_playground, 'generate', broken)
        assert 'RuntimeError' in pressed(button)
    harmless(button.line.value)
    assert 'done' in pressed(button)


def harmless(source):
    "Fails where HTML would do what a model's text says."
    assert '<img src=x' not in source and '<script' not in source and '\x1b' not in source and '\u202e' not in source
    assert '$\\' not in source and 'onerror=alert' in source


def test_what_a_model_says_is_only_text(monkeypatch):
    "Markup, a formula and control marks in an answer are shown, not carried out."
    said = [[Sample(i, 0, HOSTILE, 9, False)] for i in range(2)]
    monkeypatch.setattr(words_playground, 'generate', lambda *args, **more: said)
    button = tiny_button(monkeypatch)
    assert 'done' in pressed(button)
    harmless(button.shown.value)
    harmless(words_view(button.play).source)


def test_without_weights_the_button_says_why(monkeypatch, tmp_path):
    "Neither in the cache nor in a package: disabled, with the cure in a line; either of them is enough."
    monkeypatch.setenv('MOT_CACHE', str(tmp_path))
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    button = WordsButton()
    assert button.go.disabled and 'pip install' in button.line.value and '\n' not in button.line.value
    (tmp_path/'smollm2-135m-x').mkdir()
    (tmp_path/'smollm2-135m-x'/'config.json').write_text('{}')
    assert not WordsButton().go.disabled and not WordsButton('qwen3-tiny').go.disabled
