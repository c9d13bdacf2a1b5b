"The ledger of the paper's claims: sixteen, each from a record or said to be open, and page 0 that shows it."
import json, re

import pytest

import house
from mot_nb.analysis import claims_ledger as ledger_module
from mot_nb.analysis.claims import CLAIMS
from mot_nb.analysis.claims_ledger import (Entry, IN_SHORT, NEEDS, STUDIES, claims_ledger, ledger_in_short,
                                           map_in_words, scale_table, study)
from mot_nb.core.verdicts import VERDICTS

PAGES = house.ROOT/'nbs'/'paper'


@pytest.fixture(scope='module')
def ledger(): return claims_ledger('paper/')


def test_every_claim_has_its_row(ledger):
    "In order; claim 4 at both budgets; a claim without a study says what one would need."
    numbers = [int(r[0]) for r in ledger.rows]
    assert numbers == sorted(numbers) and set(numbers) == set(CLAIMS) and numbers.count(4) == 2
    assert {e['part'] for e in ledger.data if e['claim'] == 4} == {'equal depth', 'equal compute'}
    for e in ledger.data:
        open_ = (e['claim'], e['part']) not in STUDIES
        assert (e['verdict'] == 'not studied here') == open_ == (e['value'] is None)
        if open_: assert NEEDS[e['claim']] in e['what']
        else: assert e['verdict'] in VERDICTS and e['seeds'] and e['lo'] <= e['value'] <= e['hi']


def test_a_verdict_stands_on_three_seeds_and_follows_its_interval(ledger):
    "No verdict from fewer; a decided row's interval excludes zero, or lies within the margin."
    for e in ledger.data:
        if e['seeds'] and e['seeds'] < 3: assert e['verdict'] == 'fewer than 3 seeds'
        if e['verdict'] in ('supported', 'contradicted'): assert e['lo'] > 0 or e['hi'] < 0
        if e['verdict'] == 'equal within the margin': assert e['lo'] > -.03 and e['hi'] < .03
        if e['verdict'] == 'undecided': assert e['lo'] <= 0 <= e['hi']


def test_a_study_is_one_function(monkeypatch):
    "It takes the row of a claim nobody had studied; a second one stands below it."
    monkeypatch.setattr(ledger_module, 'STUDIES', {k: list(v) for k, v in STUDIES.items() if k[0] != 5})
    made = Entry('gain of MTD, weak − strong base', 'made up', .15, .1, .2, 'supported', 8, 100)
    study(5, '53_rounds')(lambda: made)
    study(5, '')(lambda: made)
    found = claims_ledger()
    row, = (r for r in found.rows if r[0] == '5')
    assert row[2].startswith('gain of MTD') and row[4] == ('supported', True) and str(row[5]) == '53'
    assert sum(r[0] == '5' for r in found.further().rows) == 1


def test_its_links_lead_to_the_page_s_verdict(ledger):
    "Every page that is named is there and has the section its link names."
    links = [r[-1] for r in ledger.rows if r[-1] != '–']
    assert len(links) >= 12
    for link in links:
        path, _, section = link.to.removeprefix('paper/').partition('#')
        text = (PAGES/path).read_text(encoding='utf-8')
        assert '## ' + section.replace('-', ' ') in text, link.to


def test_it_shows_itself_alike(ledger):
    "In text, HTML and Markdown: the same rows; links only where there can be links."
    html, markdown = ledger._repr_html_(), ledger._repr_markdown_()
    assert html.count('<tr>') - 1 == len(ledger.rows) == markdown.count('\n|') - 1
    assert 'href="paper/53_rounds.ipynb#' in html and '](paper/53_rounds.ipynb#' in markdown
    assert '53_rounds' not in str(ledger) and 'contradicted' in str(ledger)
    assert all(len(words.split()) <= 12 for words in IN_SHORT.values())


def test_in_short_names_every_row_once(ledger):
    names = [n for r in ledger_in_short(ledger).rows for n in re.findall(r'(?:^|; )(\d+)', r[1])]
    assert sorted(map(int, names)) == sorted(int(r[0]) for r in ledger.rows)


def test_what_the_map_adds_and_at_what_scale():
    words = map_in_words()
    assert len(re.findall(r'[+-]\d+\.\d+ \[', words)) == 8 and 'one-shot merge' in words
    named = [r[0].partition(',')[0] for r in scale_table().rows]
    assert named == ['toy', 'words', 'words-errors', 'champ', 'map', 'the paper']


# -- page 0 ------------------------------------------------------------------------------------------------------------

def page_0(): return json.loads((PAGES/'00_start.ipynb').read_text(encoding='utf-8'))['cells']


def test_page_0_reads_records_alone():
    "It trains nothing and loads no run: no parameters, short cells, a picture after at most three lines of imports."
    codes = [''.join(c['source']) for c in page_0() if c['cell_type'] == 'code']
    assert not any(word in code for code in codes for word in ('profile_run', 'load_student', 'Lab(', 'runs'))
    assert all(len(code.splitlines()) <= 12 for code in codes) and 'show(' in codes[0]
    assert len(re.findall('^from|^import', codes[0], re.M)) <= 3


def test_page_0_needs_no_run():
    "So it is made first, while the runs are at work."
    from mot_nb.app.report import page_reads
    assert page_reads(PAGES/'00_start.ipynb', ['toy', 'words']) == []
    assert page_reads(PAGES/'53_rounds.ipynb', ['toy', 'words']) == ['toy', 'words']
