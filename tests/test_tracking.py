"A run sent to a tracker while it goes on: everything once, from the ledger alone."
import importlib.machinery
import sys
import threading
import time
import types

import pytest

from mot_nb.core.errors import MotError
from mot_nb.core.files import append_line, write_atomic
from mot_nb.methods.tracking import open_tracker, track, tracked


class Kept(list):
    "A tracker that keeps what it is sent."
    def log(self, values, step): self.append((values, step))


def stage(folder, seed, name, loss):
    "One branch of two steps in a seed's ledger."
    (folder/f'seed-{seed}').mkdir(exist_ok=True)
    log = [{'step': t, 'loss': loss - t, 'lr': 1e-3, 'norm': 1., 'tokens': 9} for t in (1, 2)]
    append_line(folder/f'seed-{seed}'/'ledger.jsonl', {'stage': name, 'key': f'{seed}{name}', 'log': log})


def test_a_run_is_followed_to_its_end(tmp_path):
    "What is added in any seed's ledger meanwhile is sent once; what was there stays sent once."
    stage(tmp_path, 0, 'train plain to step 2', 5.)
    stage(tmp_path, 1, 'train plain to step 2', 6.)
    kept, done = Kept(), []
    follow = threading.Thread(target=lambda: done.append(track(tmp_path, kept, every=.05)))
    follow.start()
    time.sleep(.3)
    stage(tmp_path, 0, 'train terse to step 2', 7.)      # not the last file: seeds are made side by side
    for seed in (0, 1): write_atomic(tmp_path/f'seed-{seed}'/'metrics.jsonl', '')
    follow.join(20)
    assert done == [6] and len(kept) == 6 and len({(*v, t) for v, t in kept}) == 6
    assert kept[-1] == ({f'seed-0/train terse to step 2/{k}': v for k, v in
                         {'loss': 5., 'lr': 1e-3, 'norm': 1.}.items()}, 2)


def test_trackers_of_accelerate(tmp_path, monkeypatch):
    "trackio is begun and given each value by accelerate's own class; what is missing or unknown is named."
    got = []
    run = types.SimpleNamespace(log=lambda values, step=None: got.append((values, step)))
    fake = types.ModuleType('trackio')
    fake.__spec__ = importlib.machinery.ModuleSpec('trackio', None)
    fake.init, fake.config = lambda project, **how: run, {}
    monkeypatch.setitem(sys.modules, 'trackio', fake)
    stage(tmp_path, 0, 'train plain to step 2', 5.)
    assert track(tmp_path, open_tracker('trackio', 'mine')) == 2 and got == list(tracked(tmp_path))
    monkeypatch.setitem(sys.modules, 'trackio', None)
    with pytest.raises(MotError, match='pip install trackio'): open_tracker('trackio', 'mine')
    with pytest.raises(MotError, match='tracker'): open_tracker('trackyo', 'mine')
    with pytest.raises(MotError, match='no run'): list(tracked(tmp_path/'elsewhere'))


def test_a_real_run_is_tracked(tmp_path):
    "Every loss and score of a run's metrics, under its student's name and at its step; also from an older ledger."
    import json
    from mot_nb.core.files import read_lines
    from mot_nb.core.settings import load_settings
    from mot_nb.methods.runs import run
    from test_methods import TINY
    how = ['rounds.rounds=2', 'rounds.methods=std,mot,mtd', 'eval.heldout_loss=true']
    rows = run(load_settings(TINY, how), tmp_path, progress=False).rows
    last = lambda r: [r['corpus']] if r['metric'] == 'heldout_loss' else []
    wanted = {('/'.join(['seed-0', r['student'], r['metric'], *last(r)]), r['value'], r['steps']) for r in rows}
    told = lambda: {(n, v, t) for values, t in tracked(tmp_path) for n, v in values.items() if '/train ' not in n}
    assert wanted and told() == wanted
    file = tmp_path/'seed-0'/'ledger.jsonl'
    older = [{k: v for k, v in r.items() if k != 'steps'} for r in read_lines(file)]
    write_atomic(file, ''.join(json.dumps(r) + '\n' for r in older))
    assert told() == wanted
