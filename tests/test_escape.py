"Text of models, files and names is inert in HTML, Markdown, on a terminal, in figures and in errors."
import html, pickle, random, re
from html.parser import HTMLParser

import pytest

from mot_nb.core.errors import MotError, unknown_name, visible
from mot_nb.core.escape import LONGEST, attribute_text, figure_text, html_text, markdown_text, terminal_text
from mot_nb.core.tables import Shown, Table
from nasty import nasty_strings

FORMULAS = ['games for $5 and $6', '$$x$$', r'\(x\)', r'\[x\]', r'\begin{equation}x\end{equation}', r'a \$ b',
            r'two \\ in a row', r'\ref{x} \eqref{y}', '$', '\\']
LINKS = ['![x](http://a.b/c.png)', '[x](javascript:hit())', '<http://a.b>', 'http://a.b/c', 'HTTPS://A.B', 'www.a.b',
         'x@a.bc', '[x][y]', '[x]: http://a.b', '<img src=x onerror=hit()>']
MARKS = ['*e* **b** _e_ __b__ ~~s~~ `c`', '# h', '- l', '+ l', '1. l', '2) l', '> q', '---', '===', 'a | b',
         '```\nx\n```', '&lt; &#60; &copy;', 'a__b', '[^1]', '- [ ] x', '    code']
UNSEEN = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]')
COMMANDS = ['\x1b[2J', '\x9b2J', '\x1b]0;taken\x07', '\u202etxt.exe', '\u2066x\u2069', '\rover', '\x85', '\u2028',
            'a\u200bb', '\ud800']
STRINGS = FORMULAS + LINKS + MARKS + COMMANDS + [s for s in nasty_strings() if len(s) < 2000]


def mixtures(n, seed=0):
    "`n` texts of signs that mean something to one of the front ends."
    rng = random.Random(seed)
    signs = [*'*_`~[]()!<>|#-+=1. \n\t\\$&@:"\'{}^', 'begin', 'end', 'http://', 'www.', '#60;', '\\\\', '$$', 'b.c',
             '\x1b[', '\u202e']
    return [''.join(rng.choice(signs) for _ in range(rng.randrange(1, 25))) for _ in range(n)]


class Pieces(HTMLParser):
    "The tags of some HTML, and the text of each element for itself, as MathJax looks at it."
    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts = [], ['']
        self.feed(source)
        self.close()
    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.texts.append('')
    def handle_endtag(self, tag): self.texts.append('')
    def handle_data(self, data): self.texts[-1] += data


def formulas(source):
    r"What MathJax would change in HTML: two dollar signs, \(, \[, \begin, \ref, \$ and \\ within one element's text."
    found = re.compile(r'\$.*\$|\\[(\[\\$]|\\(?:begin|(?:eq)?ref)\s*\{', re.S)
    return [t for t in Pieces(source).texts if found.search(t)]


def test_the_search_finds_formulas():
    assert all(formulas(html.escape(s)) for s in FORMULAS[:8]) and not formulas('<p>$</p>5 and <b>$</b>')


@pytest.mark.parametrize('make', [html_text, lambda s: Table([s], [[s], [(s, True)]], s)._repr_html_(),
                                  lambda s: type('R', (Shown,), {'__str__': lambda self: s})()._repr_html_()])
def test_html_holds_no_markup_and_no_formula(make):
    for s in STRINGS + mixtures(2000):
        source = make(s)
        assert not formulas(source) and set(Pieces(source).tags) <= {'span', 'table', 'thead', 'tbody', 'tr', 'th',
                                                                     'td', 'b', 'p'}, s
        assert source.isascii() or not UNSEEN.search(source), s


def test_html_says_the_same_words():
    for s in STRINGS + mixtures(500): assert ''.join(Pieces(html_text(s)).texts) == visible(s) or '\r' in s
    assert html_text('plain, 41.5 % [40.0, 43.2]') == 'plain, 41.5 % [40.0, 43.2]'


def test_attributes_stay_closed():
    for s in STRINGS + mixtures(500):
        p = Pieces(f'<img alt="{attribute_text(s)}">')
        assert p.tags == ['img'] and p.texts == ['', ''], s


def rendered(text):
    "Markdown as HTML, by a CommonMark parser with tables, strikethrough and bare addresses."
    markdown_it = pytest.importorskip('markdown_it')
    return markdown_it.MarkdownIt('commonmark').enable(['table', 'strikethrough']).render(text)


@pytest.mark.parametrize('form', ['{}', 'before {} after', '| {} | x |\n|---|---|\n| **{}** | {} |'])
def test_markdown_holds_no_link_picture_markup_or_formula(form):
    for s in STRINGS + mixtures(2000):
        text = markdown_text(s)
        source = rendered(form.replace('{}', text))
        assert set(Pieces(source).tags) <= {'p', 'span', 'table', 'thead', 'tbody', 'tr', 'th', 'td',
                                            'strong'} and not formulas(source), s
        assert '$' not in text and '\\(' not in text and '://' not in text and not re.search(r'www\.|\]\(', text,
                                                                                             re.I), s
        if form == '{}': assert ' '.join(''.join(Pieces(source).texts).split()) == ' '.join(visible(s).split()), s
        if '|' in form: assert source.count('<td>') == 2 and source.count('<th>') == 2, s


def test_markdown_leaves_ordinary_text_alone():
    for s in ('41.5 % [40.0, 43.2]', 'n_train', 'avg@16', 'a - b', '3 > 2, so it is', 'Q & A', '+1.5', '-0.3', '#3',
              '0.5', '2026-01-01', "it's (1)"):
        assert markdown_text(s) == s
    table = Table(['a', 'b'], [['n_train', ('41.5 %', True)]], 'accuracy [lo, hi]')
    assert table._repr_markdown_() == '| a | b |\n|---|---|\n| n_train | **41.5 %** |\n\naccuracy [lo, hi]'


@pytest.mark.parametrize('make', [terminal_text, lambda s: str(Table([s], [[s]], s)),
                                  lambda s: str(MotError(s, s, s, s)),
                                  lambda s: str(unknown_name('teacher', s, [s], s)),
                                  lambda s: ''.join(MotError(s)._render_traceback_())])
def test_nothing_commands_a_terminal(make):
    for s in STRINGS:
        shown = make(s)
        assert not re.search('[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]',
                             shown), s
        shown.encode()
    assert terminal_text('one\ttwo\nthree') == 'one\ttwo\nthree'


def test_figures_draw_every_text():
    from matplotlib.figure import Figure
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    for s in FORMULAS + [x for x in MARKS + LINKS if x.isascii()] + ['$x_{$', r'$\frac{1}$', '$' * 5, 'a$b$c_{']:
        label = Figure(figsize=(1, 1)).text(0, 0, figure_text(s))
        assert label._preprocess_math(label.get_text()) == (s.replace('\t', ' '), False), s
    figure = Figure(figsize=(1, 1))
    FigureCanvasAgg(figure)
    figure.suptitle(figure_text('$x_{$ costs $5'))
    figure.canvas.draw()


def test_length_is_capped():
    for make in (html_text, markdown_text, attribute_text):
        assert len(make('<'*2_000_000)) < 6*LONGEST and 'characters more' in make('<'*2_000_000)
    assert len(Table(['a'], [['<'*2_000_000]])._repr_html_()) < 6*LONGEST
    assert html_text('a'*9, 4) == 'aaaa … 5 characters more'
    assert len(figure_text('$'*1000)) < 500


def test_an_error_keeps_what_it_was_given():
    e = MotError('what\x1b', 'where\u202e', ['\x9b'], 'cure')
    assert (e.what, e.where, e.values, e.cure) == ('what\x1b', 'where\u202e', ['\x9b'], 'cure')
    assert str(pickle.loads(pickle.dumps(e))) == str(e)


def test_a_notebook_shows_an_error_in_a_few_lines():
    import nbformat
    from nbclient import NotebookClient
    code = "from mot_nb.core.settings import load_settings\nload_settings(overrides=['train.step=3'])"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)],
                                  metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3',
                                                           'language': 'python'}})
    NotebookClient(nb, timeout=120, allow_errors=True).execute()
    [error] = nb.cells[0].outputs
    assert error.ename == 'MotError' and len(error.traceback) <= 2
    assert sum(len(t.splitlines()) for t in error.traceback) <= 5
    shown = '\n'.join(error.traceback)
    assert "unknown setting 'train.step'" in shown and "line 2: load_settings(overrides=['train.step=3'])" in shown
    assert '/' not in shown


# ---- names in figures

NAME = 'games for $x_{$ and $5'
ENDS = dict(value=.5, lo=.4, hi=.6)
STD = f'std-{NAME}'


def run_rows():
    "Rows of metrics.jsonl with the name as teacher, budget and corpus."
    runs = [('std', NAME, None), ('mtd', None, NAME), ('mot', None, None)]
    return [dict(ENDS, metric=metric, seed=0, method=method, teacher=teacher, budget=budget, round=t, steps=t,
                 branch_steps=t, corpus=NAME, n=9)
            for metric in ('accuracy', 'loss') for t in (1, 2) for method, teacher, budget in runs]


def run_figures():
    "Figures of a run and of its teachers."
    from mot_nb.views import curves, plots, teachers
    place = dict(student=NAME, corpus=NAME, teacher=NAME, gain=.1, gain_lo=0., gain_hi=.2, best=True, tied=False)
    layer = dict(layer=NAME, cosine=.5, cosine_min=.4, sign_agreement=.5, shrinkage=.8)
    line, rows = plots.new_axes(), run_rows()
    plots.label_ends(line, [(1., 1., NAME, '#000000', False)])
    plots.name_rows(line, [NAME])
    return dict(plots=line, curves=curves.curves(rows), last_accuracy=curves.last_round(rows),
                last_loss=curves.last_round(rows, 'loss'), differences=curves.differences([dict(ENDS, a=NAME, b=NAME)]),
                by_place=teachers.teachers_by_place([place]), lengths=teachers.teacher_lengths({NAME: [1, 2]}),
                agreement=teachers.merge_agreement({'branches': [NAME]*3, 'layers': [layer]}, title=NAME),
                rounds=teachers.rounds_picture([NAME, 'plain']))


def analysis_figures():
    "Figures of tokens, of layers and of teachers on quadratics."
    from mot_nb.analysis.drops import Auc
    from mot_nb.analysis.quadratics import teachers_in_the_plane
    from mot_nb.views import theory_widgets as theory, token_view
    pair = teachers_in_the_plane(2, 1.)
    for teacher in pair: object.__setattr__(teacher, 'name', NAME)
    return dict(auc=token_view.auc_figure([Auc(STD, NAME, NAME, .5, .4, .6, 9, 9, 9)]),
                change=token_view.change_figure([dict(ENDS, student=STD, label=NAME, n=9)]),
                fade=token_view.fade_figure([dict(ENDS, family=STD, label=NAME, round=1)]),
                paths=theory.quadratic_paths(pair, .1, 3),
                by_layer=theory.by_layer([dict(ENDS, layer=NAME, group=NAME)], 'cosine'))


def landscape_figures():
    "Figures of landscapes."
    from types import SimpleNamespace
    from mot_nb.views import surfaces, triangles
    plane = SimpleNamespace(corners={STD: (0., 0.), f'branch-{NAME}': (.1, .1), NAME: (1., 1.)}, outside={})
    flat = dict(x=[-1., 0., 1.], y=[-1., 0., 1.], value=[[3., 2., 3.], [2., 1., 2.], [3., 2., 3.]])
    path = [dict(ENDS, x=x, label=NAME, to=NAME, **{'from': NAME}) for x in (0., .5, 1.)]
    weights = [[1., 0., 0.], [0., 1., 0.], [0., 0., 1.], [.5, .5, 0.], [.2, .3, .5]]
    cells = [dict(weights=w, value=sum(x*x for x in w), tokens=[]) for w in weights]
    return dict(lines=surfaces.loss_lines({NAME: path, 'b': path}, (NAME, NAME)),
                contours=surfaces.contours(flat, plane, title=NAME), surface=surfaces.surface_3d(flat, plane),
                compared=surfaces.compared_contours({NAME: (flat, plane, ())}),
                sharpness=surfaces.sharpness_dots([dict(ENDS, student=STD)]), reverse=surfaces.reverse_lines(path),
                triangle=triangles.triangle_picture(dict(names=[NAME, 'b', 'c'], step=1, cells=cells)))


@pytest.mark.parametrize('figures', [run_figures, analysis_figures, landscape_figures])
def test_every_figure_draws_a_name_with_dollar_signs(figures):
    "No figure takes a name for a formula: each is drawn, and its texts hold the dollar signs."
    from matplotlib.text import Text
    from mot_nb.views.plots import picture_bytes
    for what, axes in figures().items():
        assert picture_bytes(axes), what
        figure = getattr(axes, 'figure', None) or list(axes)[0].figure
        texts = [t._preprocess_math(t.get_text()) for t in figure.findobj(Text)]
        assert any('$x_{$' in text for text, _ in texts), what
        assert not [text for text, formula in texts if formula and 'games' in text], what


def views_of_text(s):
    "What shows a problem, a trace and names: each with the text in every place."
    from mot_nb.data.corpora import Trace
    from mot_nb.data.problems import Problem
    from mot_nb.views.plots import Picture
    from mot_nb.views.teachers import trace_table
    from mot_nb.views.token_view import inert
    trace = Trace(s, s, s, s, s)
    said = [trace_table({s: [trace]}), trace_table({s: [trace]}, labels=lambda t: ['shared']*len(t.completion.split()))]
    return [Problem(s, s, s, s)._repr_html_(), *(v.source for v in said), f'<p>{inert(s)}</p>',
            Picture(bytes(24), s)._repr_html_()]


@pytest.mark.parametrize('s', [*FORMULAS, 'He pays $10 bills. He buys 4 board games for $6 each', '$a$$b$', 'x\\(y'])
def test_no_view_makes_a_formula(s):
    "Dollar signs stay, words keep their spaces: in a problem, in traces side by side, in a token."
    for source in views_of_text(s):
        assert not formulas(source), source
        assert source.startswith('<img') or s in ''.join(Pieces(source).texts), source


@pytest.mark.parametrize('name', ['a $x$ b', '![x](http://a.b/c.png)', '<img src=x onerror=hit()>'])
def test_a_plan_names_a_run_in_plain_words(name):
    from mot_nb.core.settings import profile_settings
    from mot_nb.scale.flops import bounded_load
    from mot_nb.scale.plan import plan_run
    settings = profile_settings('smoke', 'toy', [f'name={name!r}'])
    shown, inert = plan_run(settings, bounded_load(16, 64), 3, 8, 2)._repr_markdown_(), {'p', 'span', 'strong', 'em'}
    assert set(Pieces(rendered(shown)).tags) <= {*inert, 'table', 'thead', 'tbody', 'tr', 'th', 'td'}
    assert not formulas(rendered(shown)) and '://' not in shown
