"The page on speed runs at its smallest size and says what it must; its guard against unequal contenders holds."
import json

import pytest

import house
from mot_nb.app.pages import execute_page

PAGE = house.ROOT/'nbs'/'reports'/'85_speed.ipynb'


@pytest.mark.long
def test_speed_page_runs_without_peers(tmp_path):
    "In seconds, this library alone: one line per process, and sentences that name no ratio."
    out, record = tmp_path/'85_speed.ipynb', tmp_path/'speed.jsonl'
    execute_page(PAGE, out, {'record': str(record)})
    head, *rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert head['kind'] == 'speed' and head['student'] == 'qwen3-tiny' and head['hardware']
    assert [r['part'] for r in rows] == ['train', 'merge', 'run'] and {r['by'] for r in rows} == {'mot_nb'}
    assert all(r['cpu'] > 0 and r['wall'] > 0 and r['memory'] > 10**7 for r in rows)
    text = ''.join(''.join(o.get('data', {}).get('text/markdown', '')) for c in json.loads(out.read_text())['cells']
                   for o in c.get('outputs', []))
    assert 'TRL and mergekit are not installed here' in text and 'No GPU here' in text
