"""Views of hostile text: more than a thousand nasty strings are text and nothing else, to a strict parser and to a real
browser."""
import html, json, re, subprocess, unicodedata
from html.parser import HTMLParser

import pytest

import house
from browser import KERNELSPEC, OPEN, Notebook, browser, loaded, missing, until
from nasty import nasty_strings

@pytest.fixture(scope='module')
def nasty():
    "The corpus, at least a thousand strings."
    strings = nasty_strings()
    assert len(strings) >= 1000 and len(set(strings)) == len(strings) and sum(len(s) > 900_000 for s in strings) >= 10
    return strings


def scored_of(texts, name=lambda i: 'x'):
    "A scored trace that holds these texts as tokens and, through `name`, hostile names everywhere else."
    from mot_nb.analysis.scored_traces import Scored
    base, student = 'base' + name(1), name(2) + '-r1'
    change = [(-1)**i*(i % 7)/2 for i in range(len(texts))]
    best = tuple('' if i % 3 else texts[-1 - i] for i in range(len(texts)))
    return Scored(name(3), name(4), tuple(texts),
                  {'truth': tuple(('shared', name(5))[i % 2] for i in range(len(texts)))},
                  {base: (-4.,)*len(texts), student: tuple(-4. + c for c in change)},
                  {base: (3,)*len(texts), student: (2,)*len(texts)}, {base: best, student: best},
                  name(6)), base, student


def views_of(strings, page=150):
    "Every view of these strings: each string is a token, some are names too."
    from mot_nb.views.token_view import Explorer, strips_view, trace_view
    out = []
    for at in range(0, len(strings), page):
        texts = strings[at:at + page]
        s, base, student = scored_of(texts, lambda i: texts[i*7 % len(texts)])
        out += [trace_view(s, student, base, largest=page), strips_view(s, [student], base), Explorer([s], base).view()]
    return out


# ---- a strict parser: nothing but the few elements and attributes a view is made of

VOID, TAGS = {'br'}, {'div', 'p', 'b', 'small', 'ul', 'ol', 'li', 'u', 'span', 'style', 'table', 'caption', 'thead',
                      'tbody', 'tr', 'th', 'td', 'a', 'br'}
PROPERTY = (r'(?:background:#[0-9a-f]{3}|color:(?:#111|inherit)|display:flex|flex-wrap:wrap|list-style:none'
            r'|(?:margin|padding):[\d. em]+|(?:-webkit-)?print-color-adjust:exact'
            r'|white-space:pre-wrap|overflow-wrap:anywhere'
            r'|font-family:ui-monospace,Menlo,Consolas,monospace)')
ATTRIBUTES = {'class': re.compile(r'(?:mtv|[wtcz])\Z'), 'style': re.compile(f'{PROPERTY}(?:;{PROPERTY})*\\Z'),
              'title': re.compile(r'(?:<?[.\d]+→)(?:<?[.\d]+,? ?)+(?:[-+][\d.]+, rank \d+(?:→\d+)?)?\Z'),
              'id': re.compile(r'm[0-9a-f]{8}-\d+\Z'), 'href': re.compile(r'#m[0-9a-f]{8}-\d+\Z'),
              'role': re.compile(r'(?:group|region)\Z'), 'dir': re.compile(r'ltr\Z'), 'tabindex': re.compile(r'0\Z'),
              'scope': re.compile(r'col\Z'), 'aria-current': re.compile(r'true\Z'),
              'aria-label': re.compile(r'.*\Z', re.S)}


class Strict(HTMLParser):
    "Complains of every construct a view has no use for."
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.complaints, self.text = [], [], []
    def handle_starttag(self, tag, attrs):
        if tag not in TAGS: self.complaints.append(f'element {tag}')
        if len({k for k, _ in attrs}) != len(attrs): self.complaints.append(f'an attribute twice: {attrs}')
        for k, v in attrs:
            if k not in ATTRIBUTES or not ATTRIBUTES[k].match(v or ''):
                self.complaints.append(f'{tag} {k}={(v or "")[:60]!r}')
        if tag not in VOID: self.open.append(tag)
    def handle_startendtag(self, tag, attrs): self.complaints.append(f'self-closing {tag}')
    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag: self.complaints.append(f'</{tag}> inside {self.open[-3:]}')
        else: self.open.pop()
    def handle_data(self, data):
        from mot_nb.views.token_view import STYLE_SHEET
        if self.open and self.open[-1] == 'style':
            if data != STYLE_SHEET: self.complaints.append(f'style {data[:60]!r}')
        else: self.text.append(data)
    def handle_comment(self, data): self.complaints.append(f'comment {data[:60]!r}')
    def handle_decl(self, decl): self.complaints.append(f'declaration {decl[:60]!r}')
    def handle_pi(self, data): self.complaints.append(f'instruction {data[:60]!r}')
    def unknown_decl(self, data): self.complaints.append(f'declaration {data[:60]!r}')


def complaints_of(source):
    "What is wrong with the source of a view; an empty list when nothing is."
    reader = Strict()
    reader.feed(source)
    reader.close()
    shapeless = {c for c in source if c not in '\n\t' and unicodedata.category(c) in ('Cc', 'Cf', 'Cs', 'Co', 'Cn',
                                                                                      'Zl', 'Zp')}
    return reader.complaints + [f'not closed: {t}' for t in reader.open] + [f'U+{ord(c):04X} as it is'
                                                                            for c in sorted(shapeless)]


def test_strict_parser_sees_what_it_should():
    "The parser itself is tried: one broken view for each thing it must see."
    from mot_nb.views.token_view import trace_view
    s, base, student = scored_of(['a', 'b', 'c'])
    good = trace_view(s, student, base).source
    assert not complaints_of(good)
    for wrong in ('<script>hit()</script>', '<img src=x onerror=hit()>', '<i>x</i>', '<a onclick=hit()>x</a>',
                  '<a href="javascript:hit()">x</a>', '<a style="color:red">x</a>', '<style>*{}</style>', '<!-- x -->',
                  '<a style="background:#fca;position:fixed">x</a>', '<!doctype x>', '<?x?>',
                  '</div>', '<div>', '\u202e', '\x1b', '<a title="x">y</a>', '<br/>'):
        assert complaints_of(good.replace('</ul>', '</ul>' + wrong, 1)), wrong


def test_nasty_strings_are_text(nasty):
    "Every string in every view, to the strict parser; and a megabyte is cut where it can be seen."
    views = views_of(nasty)
    assert len(views) >= 3*len(nasty)//150
    for v in views:
        assert not complaints_of(v.source)[:5]
        v.source.encode('utf-8')
        v.text.encode('utf-8')
        # what a terminal shows is inert too
        assert not re.search(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]', v.text)
        assert len(v.source) < 400_000
    from mot_nb.views.token_view import inert
    for x in nasty:
        shown = inert(x)
        alone = re.sub(r'<span>[$\\\\]</span>', '', shown)      # each sign of a formula in an element of its own
        assert not set(alone) & set('<>"\'`$\\\\')
        assert (len(x) <= 80 or 'characters more' in shown) and len(shown) < 2_000


def test_strings_alone(nasty):
    "Each string as the only token and the only name of a view: nothing hides behind its neighbours."
    from mot_nb.views.token_view import trace_view
    from mot_nb.views.token_view import STYLE_SHEET
    for x in nasty:
        s, base, student = scored_of([x], lambda i: x)
        # the same everywhere, and parsed above
        source = trace_view(s, student, base).source.replace(STYLE_SHEET, '', 1).replace('<style></style>', '', 1)
        assert not complaints_of(source), repr(x[:80])


# ---- without the style sheet

def test_colours_stay_without_the_sheet():
    """An untrusted notebook and GitHub drop `<style>`: every token and bar with a colour carries it, on a ground and
    with an ink that the view carries too, and readable; drops are underlined by their element."""
    from mot_nb.views.plots import text_contrast
    from mot_nb.views.token_view import LIGHT, step_of, strips_view, trace_view
    s, base, student = scored_of([f' w{i}' for i in range(28)])
    change = s.change(student, base)
    bare = re.sub('<style>.*?</style>', '', trace_view(s, student, base).source, flags=re.S)
    text = bare.split('aria-label="The trace">')[1].split('</div>')[0]
    shown = re.findall('<([au])(?: id=[^ ]+)?(?: style=background:(#[0-9a-f]{3}))? title', text)
    ground = {f'{way[0]}{i}': c for way in ('down', 'up') for i, c in enumerate(LIGHT[way], 1)} | {'': ''}
    assert shown == [('u' if c <= -1 else 'a', ground[step_of(c)]) for c in change] and len(set(shown)) > 4
    paper, ink = re.match('<div class="mtv" style="background:(#[0-9a-f]+);color:(#[0-9a-f]+);', bare).groups()
    assert min(text_contrast(ink, c) for c in (paper, *filter(None, ground.values()))) >= 4.5
    assert all(bare.count(f'background:{c}') > text.count(f'background:{c}') for c in ground.values() if c)  # the scale
    strips = re.sub('<style>.*?</style>', '', strips_view(s, [student], base).source, flags=re.S)
    bars = re.findall('</b>((?:<a[^>]*>\u00a0</a>)+)</span>', strips)
    assert [ground[step_of(c)] for c in change] == [(re.findall('<a([^>]*)>', b)[1][18:]) for b in bars]
    assert 'print-color-adjust:exact' in bare and 'print-color-adjust:exact' in strips


# ---- a real browser

WATCH = '''<!doctype html><html><head><meta charset="utf-8"><title>views</title><script>
var hits = 0; function hit(){ hits++ } alert = confirm = prompt = print = hit;
</script></head><body>'''
REPORT = '''<script>
addEventListener('load', function(){ setTimeout(function(){
  var all = document.body.querySelectorAll('*'), kinds = {}, handlers = 0;
  all.forEach(function(e){
    kinds[e.localName] = (kinds[e.localName] || 0) + 1;
    for (var a of e.attributes)
      if (a.name.slice(0, 2) == 'on' || (a.name != 'aria-label' && /javascript:/i.test(a.value))) handlers++;
  });
  for (var name of ['mouseover', 'mouseenter', 'click', 'focus', 'load', 'error', 'toggle', 'animationstart', 'start'])
    all.forEach(function(e){ e.dispatchEvent(new Event(name)) });
  setTimeout(function(){
    var control = /[\\u0000-\\u0008\\u000e-\\u001f\\u202a-\\u202e\\u2066-\\u2069]/g;
    var out = {hits: hits, kinds: kinds, handlers: handlers, title: document.title,
               display: getComputedStyle(document.body).display,
               loaded: performance.getEntriesByType('resource').length,
               controls: (document.body.textContent.match(control) || []).length};
    var pre = document.createElement('pre');
    pre.id = 'found';
    pre.textContent = JSON.stringify(out);
    document.body.appendChild(pre);
  }, 50) }, 200) });
</script></body></html>'''


def seen_by_browser(body, folder, name='page'):
    "What a headless Chromium found after it loaded a page and sent events to every element."
    page = folder/f'{name}.html'
    page.write_text(WATCH + body + REPORT, encoding='utf-8')
    done = loaded(page, folder, '--virtual-time-budget=5000')
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    assert found, f'the browser did not finish: {done.stdout[-300:]!r} {done.stderr[-600:]!r}'
    return json.loads(html.unescape(found[1]))


@pytest.mark.skipif(browser() is None,
                    reason='no Chromium on this machine: the strict parser above has looked at the same strings')
def test_nasty_strings_in_a_browser(nasty, tmp_path):
    """All strings in all views in one page: no script runs, no element or handler appears, nothing is loaded; and the
    same check sees a page that was not escaped."""
    views = views_of(nasty)
    found = seen_by_browser(''.join(v.source for v in views), tmp_path)
    assert found['hits'] == 0 and found['handlers'] == 0 and found['title'] == 'views' and found['display'] != 'none'
    assert found['loaded'] == 0 and found['controls'] == 0
    assert set(found['kinds']) <= TAGS | {'script'} and found['kinds']['script'] == 1
    assert found['kinds']['style'] == len(views)

    for i, raw in enumerate(('<script>hit()</script>', '<img src=x onerror=hit()>', '<x onmouseover=hit()>y</x>')):
        found = seen_by_browser(raw, tmp_path, f'raw-{i}')
        assert found['hits'], raw


# ---- the explorer, where it lives and where it does not

def example():
    "Two scored traces under the base and three rounds of two students."
    from mot_nb.analysis.scored_traces import Scored
    names = ['base'] + [f'{f}-r{t}' for f in ('mot', 'std-plain') for t in (1, 2, 3)]
    texts = tuple(' 5 plus 6 gives 1 ;'.replace(' ', '| ').split('|')[1:])
    kinds = tuple('shared' if t.strip().isdigit() else 'quirk' for t in texts)
    def trace(i):
        return Scored(f'problem-{i}', 'plain', texts, {'truth': kinds},
                      {m: tuple(-1. - (k == 'quirk')*j*.4 - .1*i for k in kinds) for j, m in enumerate(names)},
                      {m: (2,)*len(texts) for m in names}, {m: (' 7',)*len(texts) for m in names})
    return [trace(0), trace(1)]


FROM_FILE = """from mot_nb.analysis.scored_traces import read_scored
from mot_nb.views.token_view import Explorer
Explorer(read_scored(file)[0])"""
WITHOUT_WIDGETS = """
import sys
sys.modules['ipywidgets'] = None
from mot_nb.analysis.scored_traces import read_scored
import mot_nb.views.plots as p, mot_nb.views.token_view as v
p._frontend = lambda: True
assert set(v.Explorer(read_scored(sys.argv[1])[0])._repr_mimebundle_()) == {'text/plain', 'text/html'}
"""


def test_explorer_without_a_frontend(tmp_path):
    """Executed without JupyterLab the explorer is a static view; nothing is stored that could come up empty; and it is
    one without ipywidgets too."""
    import sys

    import nbformat
    from mot_nb.analysis.scored_traces import write_scored
    from mot_nb.app.pages import execute_page
    from mot_nb.app.page_html import html_page
    write_scored(tmp_path/'scored.jsonl', example())
    cells = [nbformat.v4.new_code_cell("file = ''", metadata={'tags': ['parameters']}),
             nbformat.v4.new_code_cell(FROM_FILE)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNELSPEC), tmp_path/'page.ipynb')
    out = nbformat.read(execute_page(tmp_path/'page.ipynb', tmp_path/'out.ipynb',
                                     {'file': str(tmp_path/'scored.jsonl')}), 4)
    data = out.cells[-1].outputs[-1]['data']
    assert not complaints_of(data['text/html']) and not [k for k in data if 'widget' in k]
    assert 'class="mtv"' in html_page(out)
    command = [sys.executable, '-c', WITHOUT_WIDGETS, str(tmp_path/'scored.jsonl')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


EXPLORER = """from mot_nb.analysis.scored_traces import read_scored
from mot_nb.views.token_view import Explorer
Explorer(read_scored(FILE)[0], start=['mot'])"""
DRIVEN = 'the controls are driven from Python in nbs/views/01_token_view.ipynb'
SELECT = """(s => { CHANGE; s.dispatchEvent(new Event('change', {bubbles: true})) })(
    document.querySelectorAll('.jp-OutputArea select')[N])"""
SECOND, EVERY = 's.selectedIndex = 1', 'for (const o of s.options) o.selected = true'
FOCUS = """(h => { h.scrollIntoView({block: 'center'}); h.focus() })(
    document.querySelectorAll('.jp-OutputArea .noUi-handle')[N])"""


def press(tab, slider, key, code, times):
    "Moves a slider by keyboard."
    tab.js(FOCUS.replace('[N]', f'[{slider}]'))
    for _ in range(times): tab.key(key, code)


@pytest.mark.skipif(missing() is not None, reason=f'{missing()}: {DRIVEN}')
def test_explorer_in_jupyterlab(lab, tmp_path):
    "In a real JupyterLab: trace, round, students and threshold are changed as a reader does, and the view follows."
    from mot_nb.analysis.scored_traces import write_scored
    write_scored(tmp_path/'scored.jsonl', example())
    name = lab.write('explorer.ipynb', [EXPLORER.replace('FILE', repr(str(tmp_path/'scored.jsonl')))])
    view = "document.querySelector('.widget-html .mtv')"
    with Notebook(tmp_path, lab, name) as tab:
        tab.run_all()
        text = lambda: tab.js(f'{view} && {view}.textContent')
        until(lambda: 'MoT, round 3' in (text() or ''), 90, 'the explorer')
        assert 'problem-0' in text()
        tab.js(SELECT.replace('CHANGE', SECOND).replace('[N]', '[0]'))
        until(lambda: 'problem-1' in text(), 30, 'another trace')
        press(tab, 0, 'ArrowLeft', 37, 2)
        # its heading: the rounds before the one chosen are always named
        until(lambda: 'MoT, round 1 against base' in text(), 30, 'the first round')
        assert 'MoT, round 3' not in text()
        tab.js(SELECT.replace('CHANGE', EVERY).replace('[N]', '[1]'))
        until(lambda: 'STD plain, round 1' in text(), 30, 'two students as strips')
        before = text()
        press(tab, 1, 'ArrowLeft', 37, 6)
        until(lambda: text() != before and 'dropped by 0.4' in text(), 30, 'another threshold')
        assert tab.js(f"{view}.querySelectorAll('script').length") == 0


STORED = f"""(() => {{ const cells = {OPEN}.content.model.cells
    return [...Array(cells.length).keys()].map(i => cells.get(i)).filter(c => c.trusted).length }})()"""
COLOURS = """[...new Set([...document.querySelectorAll('.jp-OutputArea-output li, .jp-OutputArea-output a')]
    .map(e => getComputedStyle(e).backgroundColor))].length"""


def show_stored(lab, tmp_path, cells, at):
    "(cells that are trusted, colours behind words): a notebook as it is stored, scrolled to one cell."
    (lab.folder/'stored.ipynb').write_text(json.dumps(cells))
    with Notebook(tmp_path, lab, 'stored.ipynb') as tab:
        trusted = tab.js(STORED)
        tab.js(f"{OPEN}.content.scrollToItem({at}, 'start').then(() => true)")
        view = f"document.querySelector('[data-windowed-list-index=\"{at}\"] .jp-OutputArea-output li')"
        until(lambda: tab.js(f'Boolean({view})'), 30, 'the view')
        return trusted, tab.js(COLOURS)


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_stored_view_has_its_colours_before_it_is_trusted(lab, tmp_path):
    "Page 55 as a clone has it, never run here: JupyterLab trusts no cell of it, and every change has its colour."
    cells = json.loads((house.ROOT/'nbs'/'paper'/'55_confidence.ipynb').read_text(encoding='utf-8'))
    at = next(i for i, c in enumerate(cells['cells']) if 'trace_view(' in ''.join(c['source']))
    trusted, colours = show_stored(lab, tmp_path/'as it is', cells, at)
    assert trusted == 0 and colours >= 6
    dropped = re.sub('<style>.*?</style>', '', json.dumps(cells))       # as GitHub and others do
    assert dropped != json.dumps(cells)
    assert show_stored(lab, tmp_path/'no sheet', json.loads(dropped), at)[1] >= 6
    plain = re.sub(r'style=(\\"[^"]*\\"|background:#\w+)', '', dropped)
    assert show_stored(lab, tmp_path/'no colours', json.loads(plain), at)[1] <= 2
