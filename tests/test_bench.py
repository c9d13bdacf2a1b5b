"The page on speed: its contenders are charged for nothing but themselves, and it says what its record says."
import json, statistics, subprocess, sys

import pytest

import house
from mot_nb.analysis.speed_reading import SPEED_PARTS, how_measured, speed_in_short, speed_in_words
from mot_nb.app.pages import execute_page
from mot_nb.core.records import read_recorded, recorded

PAGE = house.ROOT/'nbs'/'reports'/'85_speed.ipynb'


def test_contenders_load_nothing(tmp_path):
    "Importing them loads Python's own modules and no other of this library: a contender's memory is its own."
    code = 'import sys, mot_nb.app.contenders; print(*(m for m in sys.modules))'
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {m for m in loaded if m.startswith('mot_nb')} == {'mot_nb', 'mot_nb.app', 'mot_nb.app.contenders'}
    assert not loaded & {'torch', 'numpy', 'transformers', 'datasets', 'trl', 'mergekit', 'safetensors', 'matplotlib'}


def displayed(kind):
    "What the page shows, as it is stored: its outputs of one kind."
    outputs = [o.get('data', {}) for c in json.loads(PAGE.read_text())['cells'] for o in c.get('outputs', [])]
    return [''.join(o[kind]) for o in outputs if kind in o]


def test_page_shows_its_record():
    "Tables, sentences and the text of the figure, made again from the recorded file, are those of the stored page."
    head, records = read_recorded(recorded('speed/peers'), 'speed')
    plain, said = displayed('text/plain'), displayed('text/markdown')
    assert f'**Recorded:** {how_measured(head, records)}' in said
    for table, sentence in SPEED_PARTS.values():
        assert str(table(records)) in plain and sentence(records) in said
    assert any(speed_in_words(records) in text for text in plain)


def median_of(records, field, **where):
    "The median of a field over records with these values."
    return statistics.median(r[field] for r in records if all(r.get(k) == v for k, v in where.items()))


def test_sentences_of_the_record():
    "The numbers that the front page and the README speak of, worked out here from the record."
    head, records = read_recorded(recorded('speed/peers'), 'speed')
    train, merge, run = (sentence(records) for _, sentence in SPEED_PARTS.values())
    rates = [median_of(records, 'rate', part='train', by='trl', layout=x) for x in ('padded', 'padding-free')]
    faster = median_of(records, 'rate', part='train', by='mot_nb')/max(rates)
    assert f'Branch training: {faster:.2f} times as many supervised tokens' in train
    three = dict(part='merge', k=3)
    plain = median_of(records, 'cpu', by='mot_nb', layout='', **three)
    share = plain/median_of(records, 'cpu', by='mergekit', **three)
    hashes = median_of(records, 'cpu', by='mot_nb', layout='with hashes', **three)/plain - 1
    assert f"Merging K = 3: {share:.2f} of mergekit's CPU time" in merge
    assert f"Hashes cost +{hashes:.0%} of the merge's CPU time at K = 3." in merge
    wall = [median_of(records, 'wall', part='run', by=by) for by in ('mot_nb', 'trl + mergekit')]
    assert f'The whole run: {wall[0]/wall[1]:.2f} of the time of TRL + mergekit' in run
    short = speed_in_short(head, records)
    assert f'{faster:.2f} times' in short and f'takes {wall[0]/wall[1]:.2f} of the time' in short


@pytest.mark.long
def test_speed_page_runs_without_peers(tmp_path):
    "In seconds, this library alone: one line a process, and sentences that name no ratio."
    out, record = tmp_path/'85_speed.ipynb', tmp_path/'speed.jsonl'
    execute_page(PAGE, out, {'record': str(record)})
    head, *rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert head['kind'] == 'speed' and head['student'] == 'qwen3-tiny' and head['hardware']
    assert [r['part'] for r in rows] == ['train', 'merge', 'run'] and {r['by'] for r in rows} == {'mot_nb'}
    assert all(r['cpu'] > 0 and r['wall'] > 0 and r['memory'] > 10**7 for r in rows)
    text = ''.join(''.join(o.get('data', {}).get('text/markdown', '')) for c in json.loads(out.read_text())['cells']
                   for o in c.get('outputs', []))
    assert 'TRL and mergekit are not installed here' in text and 'No GPU here' in text
