"The report: whole, self-contained, resumed without doing anything twice, and honest about a page that failed."
import json, os, re, subprocess, sys
from pathlib import Path

import pytest

import house
from browser import browser, loaded

KERNEL = {'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}}
HOSTILE = '</pre><script>document.title="taken"</script><img src=x onerror=alert(1)>'


def write_page(path, *code, title='A page'):
    "A page with its parameters cell and these code cells."
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    import nbformat
    defaults = "profile = 'smoke'   # which profile\nruns = ''            # folder of runs"
    tagged = new_code_cell(defaults, metadata={'tags': ['parameters']})
    first = new_markdown_cell(f'# {title}\n\n$a^2$, [over there](51_b.ipynb)')
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[first, tagged, *map(new_code_cell, code)], metadata=KERNEL), path)


@pytest.fixture
def small(tmp_path, monkeypatch):
    "A checkout with one run and two pages of its own; the run is a stand-in that counts how often it was really done."
    (tmp_path/'data'/'profiles'/'tiny').mkdir(parents=True)
    (tmp_path/'data'/'profiles'/'tiny'/'toy.yaml').write_text('name: toy\n')
    times = '{"run toy": 999, "page 50_a": 999}'      # of another machine
    (tmp_path/'data'/'profiles'/'tiny'/'times.json').write_text(times)
    counted = "open(runs + '/toy/ran_a', 'a').write('x'); open(runs + '/toy/seed-0/metrics.jsonl').read()"
    write_page(tmp_path/'nbs'/'paper'/'50_a.ipynb', counted, f'print({HOSTILE!r})')
    write_page(tmp_path/'nbs'/'paper'/'51_b.ipynb', "open(runs + '/toy/ran_b', 'a').write('x'); profile")
    monkeypatch.setenv('MOT_DATA', str(tmp_path/'data'))
    (tmp_path/'standin.py').write_text("""
from pathlib import Path
def run(settings, out):
    out = Path(out)/'seed-0'
    out.mkdir(parents=True, exist_ok=True)
    if not (out/'metrics.jsonl').exists(): (out/'metrics.jsonl').write_text('{"value": 0.5}\\n')
""")
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setattr('mot_nb.app.report.RUN', 'standin:run')
    return tmp_path


def times_run(folder):
    return tuple(len((folder/'out'/'runs'/'toy'/f'ran_{p}').read_text()) for p in 'ab')


def test_report_is_made_once_and_resumes(small):
    from mot_nb.app.document import broken_anchors, external_references
    from mot_nb.app.report import report
    lines = []
    index = report('tiny', small/'out', show=lines.append)
    text = index.read_text()
    said = [l for l in lines if not l.startswith('imports')]         # as often as they take eight seconds
    assert times_run(small) == (1, 1) and said[1].startswith('[1/3] run toy')
    assert not external_references(text) and not broken_anchors(text)
    assert '<script' not in text and '&lt;script&gt;' in text and '<math' in text and 'href="#51_b"' in text
    assert str(small) not in text

    assert max(json.loads((small/'out'/'times.json').read_text()).values()) < 999   # measured here, not taken over
    report('tiny', small/'out', show=None)                                   # nothing has changed: no page runs again
    assert times_run(small) == (1, 1)
    write_page(small/'nbs'/'paper'/'51_b.ipynb', "open(runs + '/toy/ran_b', 'a').write('x'); profile + '!'")
    report('tiny', small/'out', show=None)                                   # one page has: it alone does
    assert times_run(small) == (1, 2)
    assert not (small/'out'/'runs'/'toy-before-1').exists()
    (small/'out'/'runs'/'toy'/'seed-0'/'metrics.jsonl').write_text('{"value": 0.6}\n')
    report('tiny', small/'out', show=None)                                   # the results have: all do
    assert times_run(small) == (2, 3)
    (small/'data'/'profiles'/'tiny'/'toy.yaml').write_text('name: toy\ntrain: {lr: 1.0}\n')
    report('tiny', small/'out', show=None)                            # other settings: another run, the old one is kept
    assert times_run(small) == (1, 1) and (small/'out'/'runs'/'toy-before-1'/'ran_a').read_text() == 'xx'


def test_what_a_report_takes_for_heavy_is_there():
    "A page is known for heavy by the calls it makes: no name of a call has gone stale."
    from mot_nb.app.report import HEAVY, heavy_page
    pages = sorted((house.ROOT/'nbs'/'paper').glob('*.ipynb'))
    texts = {p: p.read_text(encoding='utf-8') for p in pages if heavy_page(p)}
    assert 0 < len(texts) < len(pages) and all(any(f'{call}(' in t for t in texts.values()) for call in HEAVY)


def test_the_process_that_makes_a_report_holds_no_torch(small):
    "A second copy of it beside the stages would be 200 MB: neither a new report nor a resumed one."
    code = """
import os, sys
import mot_nb.app.report as r
r.RUN = 'standin:run'
for _ in range(2):
    index = r.report('tiny', sys.argv[1], show=None, lanes=1)
    print('torch ' in index.read_text(), f'threads: {os.cpu_count()}' in index.read_text(), 'torch' in sys.modules)"""
    done = subprocess.run([sys.executable, '-c', code, str(small/'out')], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['True', 'True', 'False']*2 and times_run(small) == (1, 1)


def test_the_first_page_stands_before_the_runs(small):
    """A page that reads records alone is shown while the runs are at work, which here wait for it; the others have
    their place; how it was made stands last, and the exercises nowhere."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    import nbformat
    from mot_nb.app.document import broken_anchors
    from mot_nb.app.report import report
    cells = [new_markdown_cell('# Zero\n\n[a](50_a.ipynb#Why)'), new_code_cell("print('at once')"),
             new_markdown_cell('## Exercises'), new_code_cell("print('homework')")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), small/'nbs'/'paper'/'00_zero.ipynb')
    source = (small/'standin.py').read_text()
    waits = """    import time
    index, end = Path(out).parents[1]/'index.html', time.time() + 120
    while not index.exists() and time.time() < end: time.sleep(.1)
    (Path(out).parents[1]/'runs'/'seen').write_text(index.read_text())
"""
    begin = "    out = Path(out)/'seed-0'\n"
    (small/'standin.py').write_text(source.replace(begin, waits + begin))
    lines = []
    whole = report('tiny', small/'out', show=lines.append).read_text()
    early = (small/'out'/'runs'/'seen').read_text()
    assert 'at once' in early and 'being made: 1 of 3 pages' in early and not broken_anchors(early)
    assert early.count('This page is being made') == 2 and 'how-this-was-made' not in early
    assert any('its first page is there' in l for l in lines)
    assert whole.index('at once') < whole.index('id="50_a"') < whole.index('id="how-this-was-made"')
    assert 'being made' not in whole and 'homework' not in early + whole
    assert 'commit' in whole.rpartition('<section>')[2]


def test_a_failed_page_is_kept_and_said(small):
    from mot_nb.app.report import report
    from mot_nb.core.errors import MotError
    write_page(small/'nbs'/'paper'/'52_c.ipynb', '1/0', "'never'", title='Broken')
    with pytest.raises(MotError, match='1 of 3 pages') as caught: report('tiny', small/'out', show=None)
    assert '52_c.ipynb, cell 3' in str(caught.value)
    assert (small/'out'/'pages'/'52_c.failed.ipynb').exists()
    text = (small/'out'/'index.html').read_text()
    assert 'ZeroDivisionError' in text and '1 of 3 pages did not run to their end' in text
    write_page(small/'nbs'/'paper'/'52_c.ipynb', '1', title='Mended')
    report('tiny', small/'out', show=None)
    assert times_run(small) == (1, 1) and not (small/'out'/'pages'/'52_c.failed.ipynb').exists()
    assert 'did not run to their end' not in (small/'out'/'index.html').read_text()


def test_two_reports_do_not_write_to_one_folder(small):
    from mot_nb.app.report import alone_in, report
    from mot_nb.core.errors import MotError
    with alone_in(small/'out'), pytest.raises(MotError, match='another report'): report('tiny', small/'out', show=None)


def test_report_from_an_installed_package_says_what_to_do(small):
    from mot_nb.app.report import report
    from mot_nb.core.errors import MotError
    os.rename(small/'nbs', small/'elsewhere')
    with pytest.raises(MotError, match='from a checkout'): report('tiny', small/'out', show=None)


def test_a_folder_of_other_things_is_left_alone(small):
    from mot_nb.app.report import report
    from mot_nb.core.errors import MotError
    (small/'mine').mkdir()
    (small/'mine'/'thesis.tex').write_text('x')
    with pytest.raises(MotError, match='something else than a report'): report('tiny', small/'mine', show=None)
    assert os.listdir(small/'mine') == ['thesis.tex']
    with pytest.raises(MotError, match='could not write'): report('tiny', small/'mine'/'thesis.tex'/'x', show=None)


@pytest.fixture
def waiting():
    "(a clock, lines, stages of a report of which one is at work)."
    from mot_nb.app.report_progress import Stages
    from mot_nb.app.stages import Stage
    now, lines = [100.], []
    p = Stages(['page a', 'page b'], 1, {'page a': 20, 'page b': 30}, lines.append, clock=lambda: now[0])
    a, b = (Stage(n, '') for n in p.names)
    p.began(a, [b])
    return now, lines, p


def pass_time(now, p, quarters):
    "Lets the clock go on by quarters of a second."
    for _ in range(quarters):
        now[0] += .25
        p.tick()


def seconds_left(line):
    "The time left that a line of progress names."
    m, s = re.search(r'about (\d+):(\d+) left', line).groups()
    return 60*int(m) + int(s)


def test_a_report_is_never_silent_for_long(waiting):
    "A stage that writes nothing is named every ten seconds, one that writes is not named beside that."
    now, lines, p = waiting
    pass_time(now, p, 120)
    assert len(lines) == 4 and all('page a' in l and 'left' in l for l in lines)
    p.said('page a', 'steps 3/9')
    pass_time(now, p, 36)
    assert lines[4:] == ['page a: steps 3/9']
    pass_time(now, p, 8)
    assert lines[5].endswith('page a: steps 3/9')


def test_the_time_left_grows_where_a_stage_is_past_its_time(waiting):
    "Expected 20 s and 30 s: after 15 s 35 are left; after 60 s the machine is taken to be three times slower."
    now, lines, p = waiting
    now[0] += 15
    p.tick()
    now[0] += 45
    p.tick()
    assert [seconds_left(l) for l in lines] == [50, 35, 15 + 90]


def test_a_page_that_ended_well_says_nothing(tmp_path):
    "No line of a kernel that was shut down, and none of its warnings."
    write_page(tmp_path/'a.ipynb', '1')
    code = "import sys; from mot_nb.app.pages import execute_page; execute_page(*sys.argv[1:])"
    files = [str(tmp_path/name) for name in ('a.ipynb', 'b.ipynb')]
    done = subprocess.run([sys.executable, '-c', code, *files], capture_output=True, text=True)
    assert done.returncode == 0 and 'Kernel' not in done.stderr and 'KeyboardInterrupt' not in done.stderr, done.stderr


@pytest.mark.xdist_group('smoke report')
def test_smoke_report_opens_without_network(smoke_report):
    "The real pages: one file, nothing fetched, formulas read, links within lead somewhere, no trace of this machine."
    from mot_nb.app.document import broken_anchors, external_references
    text = (smoke_report/'index.html').read_text()
    assert not external_references(text) and not broken_anchors(text)
    assert 'class="unread"' not in text and 'did not run to their end' not in text
    assert not [f for f in smoke_report.rglob('*') if '.part' in f.name]    # nothing half-made is left by kills
    pages = sorted((house.ROOT/'nbs'/'paper').glob('*.ipynb'))
    assert text.count('<section>') == len(pages) + 1 and '>Exercises<' not in text
    assert text.index('<section>') < text.index('id="00_start"') < text.index('<img') < text.rindex('how-this-was-made')
    assert text.count('href="#53_rounds-Paper-says-measured-here"') > 5     # from the ledger to the verdicts
    assert str(smoke_report) not in text and str(house.ROOT) not in text and str(Path.home()) + '/' not in text
    assert len(text) < 6_000_000
    for found in re.findall('<img [^>]*>', text): assert re.search(r'alt="[^"]+"', found), found[:200]


RECORDS = ('00_start', '62_fakes', '63_four_claims', '64_which_teachers', '65_five_teachers')  # they train nothing
ITS_OWN = ('run_both(', "main(['plan'")           # cells that say how long something took, or how much memory is free


def outputs(path):
    "[(source, outputs as text)] of the code cells of a notebook, without the cell that papermill puts in."
    cells = [c for c in json.loads(path.read_text())['cells'] if c['cell_type'] == 'code']
    cells = [c for c in cells if 'injected-parameters' not in c['metadata'].get('tags', ())]
    widget = 'application/vnd.jupyter.widget-view+json'               # it names its model by a new number each time
    shown = lambda o: [o.get('text'), {k: v for k, v in o.get('data', {}).items() if k != widget}]
    return [(''.join(c['source']), json.dumps([shown(o) for o in c['outputs']])) for c in cells]


@pytest.mark.xdist_group('smoke report')
def test_what_a_page_shows_is_what_it_says_today(smoke_report):
    "No page was stored before its record or the library changed. Trained numbers are those of one kind of processor."
    import torch
    same = torch.backends.cpu.get_cpu_capability() == 'AVX2'
    for page in sorted((house.ROOT/'nbs'/'paper').glob('*.ipynb')):
        if not (same or page.stem in RECORDS): continue
        made = outputs(smoke_report/'pages'/page.name)
        for (source, stored), (_, today) in zip(outputs(page), made, strict=True):
            if any(of in source for of in ITS_OWN): continue
            assert stored == today, f'{page.name}: run this page again; what this cell shows has changed:\n{source}'


MEASURE = '''document.title = "width " + document.documentElement.scrollWidth + " of " + innerWidth
    + ", pages " + document.querySelectorAll("section").length'''


@pytest.mark.xdist_group('smoke report')   # one worker makes the report, first of all; the other does not wait
@pytest.mark.skipif(browser() is None, reason='no Chromium on this machine')
@pytest.mark.parametrize('width', [1280, 390])
def test_smoke_report_in_a_browser(smoke_report, tmp_path, width):
    "A real browser shows it: nothing is refused or fetched, and no page is wider than the window."
    allowed = "default-src 'none'; script-src 'unsafe-inline'"
    probe = (smoke_report/'index.html').read_text().replace("default-src 'none'", allowed)
    probe = probe.replace('</body>', f'<script>{MEASURE}</script></body>')
    (tmp_path/'probe.html').write_text(probe)
    shown = loaded(tmp_path/'probe.html', tmp_path, f'--window-size={width},900')
    found = re.search(r'<title>width (\d+) of (\d+), pages (\d+)</title>', shown.stdout)
    assert found, shown.stderr[-1000:]
    assert int(found[1]) <= int(found[2]) and int(found[3]) > 0, found[0]
