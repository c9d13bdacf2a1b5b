"Widgets in a real JupyterLab: a headless Chromium opens a page, runs it, moves a slider by keyboard, and what stands beside it must follow."
import json, os, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path

import pytest

import house

RIGHT, HOME, END = ('ArrowRight', 39), ('Home', 36), ('End', 35)
# page -> sliders to move: label ('': the first), the key, and what must stand beside it afterwards
PAGES = {'57_theory': [('steps E', RIGHT, 'E = 6'), ('teachers K', RIGHT, '3 teachers')],
         '55_confidence': [('drop (nats)', END, '')],
         '56_landscape': [('', HOME, '')]}
CASES = [pytest.param(p, marks=[] if p == '57_theory' else pytest.mark.long) for p in PAGES]


def browser():
    "A headless Chromium, where the machine has one."
    return next((b for b in map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome')) if b), None)


def missing():
    "Why the test cannot run here, or None."
    if browser() is None: return 'no Chromium on this machine'
    try: import jupyterlab, websocket  # noqa: F401  websocket-client comes with jupyter-server
    except ImportError as e: return f'{e.name} is not installed'


class Page:
    "A tab of a headless Chromium, spoken to over its DevTools socket."
    def __init__(self, folder):
        import websocket
        self.process = subprocess.Popen([browser(), '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
                                         '--window-size=1200,1000', f'--user-data-dir={folder}', '--remote-debugging-port=0', '--remote-allow-origins=*', 'about:blank'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.n = 0
        port = until(lambda: (folder/'DevToolsActivePort').read_text().split('\n')[0] if (folder/'DevToolsActivePort').exists() else None, 60, 'Chromium to open its port')
        tabs = json.load(urllib.request.urlopen(f'http://127.0.0.1:{port}/json'))
        self.socket = websocket.create_connection(next(t['webSocketDebuggerUrl'] for t in tabs if t['type'] == 'page'), timeout=300)

    def call(self, method, **params):
        "The answer to one DevTools command."
        self.n += 1
        self.socket.send(json.dumps({'id': self.n, 'method': method, 'params': params}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get('id') == self.n:
                assert 'error' not in answer, (method, answer)
                return answer['result']

    def js(self, source):
        "The value of an expression in the page; promises are waited for."
        found = self.call('Runtime.evaluate', expression=source, awaitPromise=True, returnByValue=True)
        assert 'exceptionDetails' not in found, found['exceptionDetails'].get('exception', found)
        return found['result'].get('value')

    def key(self, name, code):
        "Presses and releases a key."
        for kind in ('keyDown', 'keyUp'): self.call('Input.dispatchKeyEvent', type=kind, key=name, code=name, windowsVirtualKeyCode=code)

    def close(self):
        self.process.kill(); self.process.wait()


def until(ask, seconds, what):
    "The first answer that is true; fails after so many seconds."
    end = time.time() + seconds
    while True:
        answer = ask()
        if answer: return answer
        assert time.time() < end, f'waited {seconds} s for {what}'
        time.sleep(.25)


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    "A JupyterLab of this environment with copies of the pages, its settings its own; yields its address."
    folder = tmp_path_factory.mktemp('lab')
    for page in PAGES: shutil.copy2(house.ROOT/'nbs'/'paper'/f'{page}.ipynb', folder)
    (folder/'config'/'labconfig').mkdir(parents=True)
    (folder/'config'/'labconfig'/'page_config.json').write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}')
    shown = folder/'settings'/'@jupyterlab'/'notebook-extension'
    shown.mkdir(parents=True)
    (shown/'tracker.jupyterlab-settings').write_text('{"windowingMode": "none"}')         # every cell is in the page, not only those in view
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    env = {**os.environ, 'JUPYTER_CONFIG_DIR': str(folder/'config'), 'JUPYTERLAB_SETTINGS_DIR': str(folder/'settings'), 'JUPYTERLAB_WORKSPACES_DIR': str(folder/'workspaces'), 'MOT_CACHE': str(folder/'cache')}  # runs of its own: another test may be making the same
    with open(folder/'lab.log', 'w') as log:
        server = subprocess.Popen([sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', f'--ServerApp.port={port}', '--ServerApp.port_retries=0', '--IdentityProvider.token=', f'--ServerApp.root_dir={folder}',
                                   '--LabApp.expose_app_in_browser=True', '--ServerApp.terminals_enabled=False'], stdout=log, stderr=log, env=env)
    try:
        def answers():
            assert server.poll() is None, (folder/'lab.log').read_text()[-2000:]
            try: return urllib.request.urlopen(f'http://127.0.0.1:{port}/api/status', timeout=5).status == 200
            except OSError: return False
        until(answers, 60, 'JupyterLab to answer')
        yield f'http://127.0.0.1:{port}'
    finally:
        server.terminate()                              # its kernels go with it
        try: server.wait(20)
        except subprocess.TimeoutExpired: server.kill(); server.wait()


STILL = """from mot_nb.views.triangles import triangle_widget
from mot_nb.views.theory_widgets import explore_multiplier, explore_teachers
from mot_nb.views.token_view import Explorer
from mot_nb.analysis.scored_traces import Scored
cells = [{'weights': [a/3, b/3, (3 - a - b)/3], 'value': .5 + .1*a + .01*b, 'lo': None, 'hi': None, 'n': 2, 'tokens': [['7', a/3], [' plus', b/3]]} for a in (3, 2, 1, 0) for b in range(3 - a, -1, -1)]
scored = Scored('p', 'plain', (' 5', ' plus'), {'truth': ('shared', 'quirk')}, {'base': (-1., -1.), 'mot-r1': (-.5, -2.)}, {'base': (2, 2), 'mot-r1': (2, 2)}, {'base': (' 7',)*2, 'mot-r1': (' 7',)*2})"""
WIDGETS = {'Explorer([scored])': 'class="mtv"', "triangle_widget({'names': ['plain', 'verbose', 'foreign'], 'step': 3, 'cells': cells})": 'src="data:image/png;base64,', 'explore_multiplier()': 'src="data:image/png;base64,', 'explore_teachers()': 'src="data:image/png;base64,'}


def test_still_without_a_reader(tmp_path, monkeypatch):
    "Run by papermill from a kernel of JupyterLab, every widget is stored in its still form alone, and the report shows it."
    from nbformat import read, write
    from nbformat.v4 import new_code_cell, new_notebook
    from mot_nb.app.pages import execute_page
    from mot_nb.app.page_html import html_page
    monkeypatch.setenv('JPY_SESSION_NAME', '/somewhere/page.ipynb')
    write(new_notebook(cells=[new_code_cell(STILL), *map(new_code_cell, WIDGETS)], metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}}), tmp_path/'page.ipynb')
    page = read(execute_page(tmp_path/'page.ipynb', tmp_path/'out.ipynb'), 4)
    for cell, still in zip(page.cells[-len(WIDGETS):], WIDGETS.values()):
        assert set(cell.outputs[-1].data) == {'text/plain', 'text/html'} and still in cell.outputs[-1].data['text/html'] and 'Box(' not in cell.outputs[-1].data['text/plain'], cell.source
    shown = html_page(page)
    assert 'A control that moves' not in shown and shown.count('<img alt=') == 3


OPEN = "[...jupyterapp.shell.widgets('main')].find(w => w.sessionContext)"     # the open notebook
KERNEL = f'{OPEN}?.sessionContext.session?.kernel?.status'
FIND = '''(label => [...document.querySelectorAll('.widget-slider')].find(s => !label || s.querySelector('.widget-label')?.textContent.trim() === label))'''
BESIDE = f'''(label => [...({FIND}(label)?.closest('.jp-OutputArea-output')?.querySelectorAll('.widget-html-content') ?? [])].map(e => e.innerHTML).join(' '))'''


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize('page', CASES)
def test_sliders_move_the_picture(lab, tmp_path, page):
    "The page runs to its end in JupyterLab, and each slider, moved by one key, changes what stands beside it."
    tab = Page(tmp_path/'profile')
    try:
        tab.call('Page.enable'); tab.call('Emulation.setFocusEmulationEnabled', enabled=True)   # a window in front, as a reader has
        tab.call('Page.navigate', url=f'{lab}/lab/tree/{page}.ipynb?reset')
        until(lambda: tab.js(f'window.jupyterapp ? {KERNEL} : null') == 'idle', 120, 'JupyterLab to open the page with a kernel')
        assert tab.js("document.querySelectorAll('.widget-slider').length") == 0                # what is stored in the page has no sliders: those that come are made now
        tab.js(f"jupyterapp.shell.activateById({OPEN}.id)")
        tab.js("jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)")
        until(lambda: tab.js(KERNEL) == 'idle', 240, 'the page to run')
        assert tab.js("[...document.querySelectorAll('[data-mime-type=\"application/vnd.jupyter.error\"], .jp-OutputArea-output[data-mime-type$=\"stderr\"]')].map(e => e.textContent.slice(0, 300))") == []
        for label, key, text in PAGES[page]:
            before = until(lambda: tab.js(f'{BESIDE}({label!r})'), 60, f'the slider {label!r} and what stands beside it')
            assert not text or text not in before
            tab.js(f"(h => {{ h.scrollIntoView({{block: 'center'}}); h.focus() }})({FIND}({label!r}).querySelector('.noUi-handle'))")
            tab.key(*key)
            after = until(lambda: (now := tab.js(f'{BESIDE}({label!r})')) != before and now, 60, f'what stands beside {label!r} to follow it')
            assert text in after, after[:500]
    finally: tab.close()
