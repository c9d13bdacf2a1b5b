"JupyterLab and a headless Chromium driven through the DevTools protocol, for tests of what a reader clicks."
import contextlib, json, os, re, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path

BROWSER = os.environ.get('MOT_BROWSER') or next((p for n in ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome') if (p := shutil.which(n))), None)
NO_BROWSER = 'no Chromium on this machine (set MOT_BROWSER to one)'
FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']


def free_port():
    "A port nobody listens on."
    with contextlib.closing(socket.socket()) as s: s.bind(('127.0.0.1', 0)); return s.getsockname()[1]


def until(ask, seconds, what):
    "The first true answer of `ask`, asked again and again."
    end, last = time.time() + seconds, None
    while time.time() < end:
        with contextlib.suppress(OSError, ValueError, KeyError, StopIteration):
            if last := ask(): return last
        time.sleep(.3)
    raise AssertionError(f'waited {seconds} s for {what}')


@contextlib.contextmanager
def process(command, **kw):
    "A process that is ended with its children."
    p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **kw)
    try: yield p
    finally:
        import signal
        for s in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError): os.killpg(p.pid, s)
            with contextlib.suppress(subprocess.TimeoutExpired): p.wait(5); break


class Page:
    "One tab of a browser: `js` evaluates an expression in it."
    def __init__(self, port):
        import websocket
        tab = until(lambda: next(t for t in json.load(urllib.request.urlopen(f'http://127.0.0.1:{port}/json')) if t['type'] == 'page'), 60, 'the browser')
        self.socket, self.n = websocket.create_connection(tab['webSocketDebuggerUrl'], timeout=120, suppress_origin=True), 0

    def call(self, method, **params):
        self.n += 1
        self.socket.send(json.dumps({'id': self.n, 'method': method, 'params': params}))
        while True:
            got = json.loads(self.socket.recv())
            if got.get('id') == self.n: return got.get('result', got)

    def js(self, expression):
        "The value of a JavaScript expression; a promise is waited for."
        out = self.call('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in out: raise AssertionError(str(out['exceptionDetails'])[:500])
        return out['result'].get('value')

    def wait(self, expression, seconds, what):
        "Waits until an expression is true."
        return until(lambda: self.js(expression), seconds, what)

    def picture(self, path):
        "Writes a screenshot."
        import base64
        Path(path).write_bytes(base64.b64decode(self.call('Page.captureScreenshot', format='png')['data']))


@contextlib.contextmanager
def browser(folder, size=(1200, 1000)):
    "A `Page` of a fresh headless Chromium."
    port = free_port()
    with process([BROWSER, *FLAGS, f'--user-data-dir={folder/"profile"}', f'--remote-debugging-port={port}', f'--window-size={size[0]},{size[1]}', 'about:blank']): yield Page(port)


@contextlib.contextmanager
def jupyterlab(folder):
    "The address of a JupyterLab that serves a folder to this machine only."
    port = free_port()
    flags = ['--no-browser', '--allow-root', f'--ServerApp.root_dir={folder}', f'--ServerApp.port={port}', '--ServerApp.ip=127.0.0.1', '--IdentityProvider.token=', '--ServerApp.password=', '--ServerApp.disable_check_xsrf=True',
             '--LabApp.news_url=', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate', '--LanguageServerManager.autodetect=False']
    env = {**os.environ, 'JUPYTER_CONFIG_DIR': str(folder/'.config'), 'JUPYTER_DATA_DIR': str(folder/'.data'), 'JUPYTERLAB_SETTINGS_DIR': str(folder/'.settings'), 'JUPYTERLAB_WORKSPACES_DIR': str(folder/'.workspaces')}
    with process([str(Path(sys.executable).parent/'jupyter-lab'), *flags], env=env, cwd=folder):
        address = f'http://127.0.0.1:{port}'
        until(lambda: urllib.request.urlopen(f'{address}/api/status').status == 200, 90, 'JupyterLab')
        yield address


def run_notebook(page, address, name):
    "Opens a notebook in JupyterLab and runs all its cells."
    page.call('Page.enable'); page.call('Page.navigate', url=f'{address}/lab/tree/{name}?reset')
    page.wait('!!document.querySelector(".jp-Notebook .jp-CodeCell") && !!document.querySelector(\'.jp-Notebook-ExecutionIndicator[data-status="idle"]\')', 120, 'the notebook and its kernel')
    page.js('''(async () => { const cells = document.querySelectorAll('.jp-CodeCell').length;
        for (let i = 0; i < cells; i++) { const b = document.querySelector('[data-jp-item-name="run"] button, [data-jp-item-name="run"] jp-button, [data-command="notebook:run-cell-and-select-next"]'); b.click(); await new Promise(r => setTimeout(r, 300)) } })()''')
