"The documentation's pages: links lead to pages that exist, titles are titles, nothing is fetched."
import json
import re

import pytest

from make_site import NBS, linked, pages, raised, write_page
from mot_nb.app.document import external_references

WALK = sorted((NBS/'paper').glob('*.ipynb'))


@pytest.mark.parametrize('file', [NBS/'index.ipynb', *WALK], ids=lambda f: f.stem)
def test_a_page_of_the_site(tmp_path, file):
    place = (tmp_path/file.relative_to(NBS)).with_suffix('.md')
    write_page(file, place)
    html = json.loads(place.with_suffix('.json').read_text())['html']
    leads = [x.partition('#')[0] for x in re.findall(r'href="([^":]+\.html[^"]*)"', html)]
    missing = [x for x in leads if not (file.parent/x).with_suffix('.ipynb').exists()]
    assert len(re.findall('<h1[ >]', html)) == 1 and not missing and not external_references(html)
    assert '.ipynb"' not in html


def test_links_and_headings():
    "A link with a part keeps it, one to elsewhere stays; a title of the second level becomes one of the first."
    there = linked('<a href="../core/03_settings.ipynb#Two words">x</a><a href="https://a.b/c.ipynb">y</a>')
    assert 'href="../core/03_settings.html#' in there and 'https://a.b/c.ipynb' in there
    assert raised('<h2 id="a">A</h2><h3>B</h3>') == '<h1 id="a">A</h1><h2>B</h2>'


def test_every_notebook_has_its_place():
    found = [f for _, files in pages() for f in files]
    assert len(found) == len(set(found)) and {*NBS.rglob('*.ipynb')} - {*found} == {NBS/'index.ipynb'}
