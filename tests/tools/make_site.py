"""Writes the documentation as a folder of pages: searchable, light and dark, without network (mkdocs-material).

    .venv/site/bin/python tests/tools/make_site.py [OUT]         (`make site` installs what it needs first; OUT: _site)

The pages are the notebooks with the outputs stored in them, drawn by the report's renderer: formulas are MathML, every
page is whole without script, and nothing is read from elsewhere. Only the search is a script, which browsers run on a
site that is served (on this machine: python3 -m http.server -d _site).
"""
import html
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import yaml

from mot_nb.app.page_html import anchor, html_page
from project import ROOT, WINGS

NBS = ROOT/'nbs'
PARTS = [('The paper', 'paper', '[0-9]*'), ('Reports', 'reports', '[0-9]*'), ('Course', 'course', '*')]
TEXT = ('CHANGELOG.md', 'CONTRIBUTING.md')
STYLE = '''
.md-typeset details.code{border:0;box-shadow:none;font-size:.8rem;padding:0;margin:.4rem 0;background:none}
.md-typeset details.code>summary{background:none;padding:0 2rem 0 .2rem;overflow:hidden;white-space:nowrap}
.md-typeset details.code>summary:before{display:none}.md-typeset details.code>summary>code{background:none}
.out{overflow-x:auto;margin:.6rem 0}.out img{background:#fff;border-radius:4px}
.md-typeset .md-typeset__scrollwrap{margin:0}.md-typeset .md-typeset__table{padding:0}
.md-typeset table:not([class]){display:table;width:auto}math[display=block]{display:block math;margin:1rem 0}
'''
# a hook of mkdocs: the notebook's HTML and its headings in place of an empty page
HOOK = '''
import json
from pathlib import Path
from mkdocs.structure.toc import get_toc

def on_page_content(markdown, page, config, files):
    made = Path(page.file.abs_src_path).with_suffix('.json')
    if not made.exists(): return markdown
    found = json.loads(made.read_text(encoding='utf-8'))
    page.toc = get_toc(found['headings'])
    return found['html']
'''


def one_link(m): # a match: where it leads; what is said
    "A link to a notebook's page."
    target, _, part = html.unescape(m[1]).partition('#')
    part = '#' + anchor(Path(target).stem, part) if part else ''
    return f'<a href="{html.escape(target[:-6])}.html{html.escape(part)}">{m[2]}</a>'


def linked(fragment):
    "A page's HTML with links that lead from page to page."
    within = r'([^":]+\.ipynb(?:#[^"]*?)?)'
    in_the_checkout = rf'<span class="file" title="{within}, in the checkout">(.*?)</span>'
    fragment = re.sub(in_the_checkout, one_link, fragment, flags=re.S)
    return re.sub(rf'<a href="{within}">(.*?)</a>', one_link, fragment, flags=re.S)


def raised(fragment):
    "A page's HTML whose title is a title: each heading one level up."
    return re.sub(r'(</?h)([2-6])(?=[ >])', lambda m: f'{m[1]}{int(m[2]) - 1}', fragment)


def without_hidden_code(file):
    "A notebook whose cells that say `echo: false` show their outputs alone."
    nb = nbformat.read(file, 4)
    for c in nb.cells:
        if c.cell_type == 'code' and c.source.startswith('#| echo: false'): c.source = ''
    return nb


def write_page(file, to): # a notebook; where its page goes
    "Writes a page for mkdocs: its title, and beside it what the hook puts in."
    toc = []
    fragment = raised(linked(html_page(without_hidden_code(file), file.stem, file.parent, toc=toc)))
    title = next((text for _, _, text in toc), file.stem)
    headings = [{'level': 2, 'id': name, 'name': text, 'children': []} for level, name, text in toc if level == 2]
    to.parent.mkdir(parents=True, exist_ok=True)
    to.with_suffix('.json').write_text(json.dumps({'html': fragment, 'headings': headings}), encoding='utf-8')
    to.write_text(f'---\ntitle: {json.dumps(title)}\n---\n', encoding='utf-8')
    return {title: str(to.relative_to(to.parents[len(file.relative_to(NBS).parts) - 1]))}


def pages():
    "[(part, notebooks)] in the order of the menu."
    found = [(part, sorted((NBS/folder).rglob(f'{which}.ipynb'))) for part, folder, which in PARTS]
    return [*found, *((wing, sorted((NBS/wing).glob('*.ipynb'))) for wing in WINGS)]


def settings(source, out, nav):
    "What mkdocs is told."
    scheme = lambda name, icon, other: {'scheme': name, 'toggle': {'icon': f'material/{icon}', 'name': other}}
    theme = {'name': 'material', 'font': False, 'features': ['navigation.tabs', 'toc.follow'],
             'palette': [scheme('default', 'weather-night', 'dark'), scheme('slate', 'weather-sunny', 'light')]}
    return {'site_name': 'mot_nb', 'docs_dir': str(source), 'site_dir': str(out), 'use_directory_urls': False,
            'theme': theme, 'plugins': ['search'], 'nav': nav, 'hooks': [str(source.parent/'hook.py')],
            'extra_css': ['mot.css'], 'exclude_docs': '*.json', 'validation': {'links': {'not_found': 'ignore'}}}


def main(out):
    "Writes the site."
    with tempfile.TemporaryDirectory() as tmp:
        source = Path(tmp)/'pages'
        place = lambda file: (source/file.relative_to(NBS)).with_suffix('.md')
        parts = [{part: [write_page(f, place(f)) for f in files]} for part, files in pages()]
        write_page(NBS/'index.ipynb', source/'index.md')
        for f in TEXT: (source/f).write_text((ROOT/f).read_text(encoding='utf-8'), encoding='utf-8')
        (source/'mot.css').write_text(STYLE, encoding='utf-8')
        (source.parent/'hook.py').write_text(HOOK, encoding='utf-8')
        n = len(PARTS)
        nav = [{'Start': 'index.md'}, *parts[:n], {'Library': parts[n:]}, *({f[:-3].title(): f} for f in TEXT)]
        config = Path(tmp)/'mkdocs.yml'
        config.write_text(yaml.safe_dump(settings(source, out.resolve(), nav)), encoding='utf-8')
        words = [sys.executable, '-m', 'mkdocs', 'build', '-q', '-f', str(config)]
        subprocess.run(words, check=True, env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'})
    print(f'{out}/index.html; with search: python3 -m http.server -d {out}')


if __name__ == '__main__': main(Path(*sys.argv[1:2] or ['_site']))
