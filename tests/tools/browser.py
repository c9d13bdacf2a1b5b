"""A headless Chromium and a JupyterLab of this environment, for tests: pages are looked at, notebooks opened and run.

The browser is driven over its DevTools socket, so nothing is needed beyond Chromium and what JupyterLab brings.
"""
import contextlib, json, os, re, shutil, socket, subprocess, sys, time, urllib.request
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = ('chromium', 'chromium-browser', 'google-chrome')
FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync']
KERNELSPEC = {'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}}


def browser():
    "A headless Chromium, where the machine has one."
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


def missing():
    "Why no notebook can be opened here, or None."
    if browser() is None: return 'no Chromium on this machine'
    try: import jupyterlab, websocket  # noqa: F401  websocket-client comes with jupyter-server
    except ImportError as e: return f'{e.name} is not installed'


def until(ask, seconds, what):
    "The first answer that is true; fails after so many seconds."
    end = time.time() + seconds
    while True:
        answer = ask()
        if answer: return answer
        assert time.time() < end, f'waited {seconds} s for {what}'
        time.sleep(.25)


def loaded(page, folder, *flags, seconds=180):
    "The finished process of a browser that loaded a page; its output is the page as it then stood."
    command = [browser(), *FLAGS, f'--user-data-dir={folder/"profile"}', *flags, '--dump-dom', page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


class Tab:
    "A tab of a headless Chromium, spoken to over its DevTools socket."
    def __init__(self, folder):
        profile = folder/'profile'
        self.process = subprocess.Popen(
            [browser(), *FLAGS, '--window-size=1200,1000', f'--user-data-dir={profile}', '--remote-debugging-port=0',
             '--remote-allow-origins=*', 'about:blank'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.n = 0
        try: self.socket = self._connected(profile/'DevToolsActivePort')
        except BaseException:
            self.close()
            raise

    def _connected(self, told):
        import websocket
        until(lambda: told.exists() and '\n' in told.read_text(), 60, 'Chromium to open its port')
        port = told.read_text().split('\n')[0]
        tabs = json.load(urllib.request.urlopen(f'http://127.0.0.1:{port}/json'))
        address = next(t['webSocketDebuggerUrl'] for t in tabs if t['type'] == 'page')
        return websocket.create_connection(address, timeout=300)

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
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=name, code=name, windowsVirtualKeyCode=code)

    def picture(self, path):
        "Writes what the tab shows as a PNG."
        import base64
        Path(path).write_bytes(base64.b64decode(self.call('Page.captureScreenshot', format='png')['data']))

    def close(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self): return self
    def __exit__(self, *error): self.close()


OPEN = "[...jupyterapp.shell.widgets('main')].find(w => w.sessionContext)"     # the open notebook
KERNEL = f'{OPEN}?.sessionContext.session?.kernel?.status'
ERRORS = """[...document.querySelectorAll(`[data-mime-type="application/vnd.jupyter.error"],
    .jp-OutputArea-output[data-mime-type$="stderr"]`)].map(e => e.textContent.slice(0, 3000))"""
# lines of a run that goes on: its log, and its bar
GOES_ON = re.compile(r'\s*$|mot: |[^a-z]*steps \d+/\d+ · ')
RUN_NEXT = """void (start => { window.cellSeconds = null
    jupyterapp.commands.execute("notebook:run-cell-and-select-next")
    .finally(() => { window.cellSeconds = (performance.now() - start)/1000 }) })(performance.now())"""


class Notebook(Tab):
    "A tab in which JupyterLab shows a notebook, with a kernel that waits."
    def __init__(self, folder, lab, name):
        super().__init__(folder)
        self.name = name
        try: self._opened(lab)
        except BaseException:
            self.close()
            raise

    def _opened(self, lab):
        self.call('Page.enable')
        self.call('Emulation.setFocusEmulationEnabled', enabled=True)   # a window in front, as a reader has
        self.call('Page.navigate', url=f'{lab.url}/lab/tree/{self.name}?reset')
        idle = f'window.jupyterapp?.shell ? {KERNEL} : null'
        until(lambda: self.js(idle) == 'idle', 120, f'JupyterLab to open {self.name} with a kernel')
        self.js(f'jupyterapp.shell.activateById({OPEN}.id)')

    def run_all(self, seconds=240):
        "Runs every cell, and waits for the kernel."
        self.js("jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)")
        until(lambda: self.js(KERNEL) == 'idle', seconds, f'{self.name} to run')

    def run_next(self, seconds=240):
        "Runs the selected cell and selects the next, as Shift-Enter does; returns the seconds until it has ended."
        self.js(RUN_NEXT)
        return until(lambda: self.js('window.cellSeconds'), seconds, f'a cell of {self.name} to run')

    def errors(self):
        "The beginnings of errors and of what was printed to stderr, but for what a run tells of its progress."
        strange = lambda text: [line for line in text.splitlines() if not GOES_ON.match(line)]
        return ['\n'.join(lines)[:300] for text in self.js(ERRORS) if (lines := strange(text))]

    def content(self):
        "The notebook as JupyterLab holds it: a dict."
        return self.js(f'{OPEN}.content.model.toJSON()')


@dataclass(frozen=True)
class Lab:
    "A JupyterLab that answers."
    url: str                     # its address
    folder: Path                 # where its notebooks lie
    process: subprocess.Popen    # the server; its kernels are below it

    def write(self, name, sources):
        "A notebook of code cells, in the lab's folder."
        from nbformat import write
        from nbformat.v4 import new_code_cell, new_notebook
        write(new_notebook(cells=[new_code_cell(s) for s in sources], metadata=KERNELSPEC), self.folder/name)
        return name

    def kernels(self):
        "The processes of its kernels."
        import psutil
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [p for p in below if any('ipykernel' in word for word in p.cmdline())]

    def answers(self):
        "Whether it is up; fails where the server has ended."
        assert self.process.poll() is None, (self.folder/'lab.log').read_text()[-2000:]
        try: return urllib.request.urlopen(f'{self.url}/api/status', timeout=5).status == 200
        except OSError: return False


def lab_settings(folder):
    "The environment of a JupyterLab with settings and caches of its own, below a folder."
    (folder/'config'/'labconfig').mkdir(parents=True)
    quiet = {'disabledExtensions': {'@jupyterlab/apputils-extension:announcements': True}}
    (folder/'config'/'labconfig'/'page_config.json').write_text(json.dumps(quiet))
    shown = folder/'settings'/'@jupyterlab'/'notebook-extension'
    shown.mkdir(parents=True)
    # every cell is in the page, not only those in view
    (shown/'tracker.jupyterlab-settings').write_text('{"windowingMode": "none"}')
    names = {'JUPYTER_CONFIG_DIR': 'config', 'JUPYTERLAB_SETTINGS_DIR': 'settings',
             'JUPYTERLAB_WORKSPACES_DIR': 'workspaces', 'MOT_CACHE': 'cache'}   # no runs of another test
    return {**os.environ, **{k: str(folder/v) for k, v in names.items()}}


@contextlib.contextmanager
def running_lab(folder):
    "A fresh JupyterLab of this environment over a folder, as a `Lab`; it ends with its kernels."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', f'--ServerApp.port={port}',
               '--ServerApp.port_retries=0', '--IdentityProvider.token=', f'--ServerApp.root_dir={folder}',
               '--LabApp.expose_app_in_browser=True', '--ServerApp.terminals_enabled=False']
    with open(folder/'lab.log', 'w') as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=lab_settings(folder))
    try:
        lab = Lab(f'http://127.0.0.1:{port}', folder, server)
        until(lab.answers, 60, 'JupyterLab to answer')
        yield lab
    finally:
        server.terminate()      # its kernels go with it
        try: server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
