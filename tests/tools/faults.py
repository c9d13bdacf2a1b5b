"Ends a rank at one of its writes into a run folder: before a rename, in the middle of a file or of a line."
import json, os, signal, time
from pathlib import Path

import safetensors.torch


def last_stage(ledger): # file
    "The stage that its last line records."
    return json.loads(Path(ledger).read_text().splitlines()[-1])['stage']


def path_of(fd): # an open file's descriptor
    "The path of an open file."
    return os.readlink(f'/proc/self/fd/{fd}')


class Faults:
    "Counts what a rank writes into the run folder, and ends it at one of them."
    def __init__(self, out,   # the run folder
                 at=None,     # number of the fatal write, from 1
                 trace=None): # list that takes [kind, name] of every write
        self.out, self.at, self.n, self.trace = str(out), at, 0, trace
        self.parts = {}   # pieces of a file so far; the tenth, a tensor in its middle, counts as a write
        self._renames()
        self._lines()
        self._pieces()
        self._tensors()

    def _renames(self):
        replace = os.replace
        def new(a, b, **kw):
            self.event('rename', b)
            return replace(a, b, **kw)
        os.replace = new

    def _lines(self):
        fsync = os.fsync
        def new(fd):
            path = path_of(fd)
            if path.endswith('.jsonl'):
                name = path + (f' ({last_stage(path)})' if path.endswith('ledger.jsonl') else '')
                if self.event('line', name): self.tear(fd)
            return fsync(fd)
        os.fsync = new

    def _pieces(self):
        pwrite = os.pwrite
        def new(fd, data, offset):
            path = path_of(fd)
            self.parts[path] = self.parts.get(path, 0) + 1
            if self.parts[path] == 10 and self.event('part', path):
                pwrite(fd, bytes(data)[:len(data)//2], offset)
                self.die()
            return pwrite(fd, data, offset)
        os.pwrite = new

    def _tensors(self):
        import transformers.modeling_utils as m
        save = safetensors.torch.save_file
        def new(tensors, path, *a, **kw):
            fatal = self.event('file', path)
            save(tensors, path, *a, **kw)
            if not fatal: return
            os.truncate(path, os.path.getsize(path)//2)
            self.die()
        safetensors.torch.save_file = new
        for name in ('safe_save_file', 'save_file'):
            if hasattr(m, name): setattr(m, name, new)

    def event(self, kind, # 'rename', 'line', 'part' or 'file'
              path):      # what is written
        "True when this write is the fatal one; a fatal rename ends the process here."
        path = str(path)
        if not path.startswith(self.out): return False
        self.n += 1
        if self.trace is not None: self.trace.append([kind, path[len(self.out) + 1:]])
        fatal = self.at == self.n
        if fatal and kind == 'rename': self.die()
        return fatal

    def tear(self, fd): # of a log
        "Cuts the last line of a log in two, as a kill in the middle of a write would."
        size = os.fstat(fd).st_size
        text = os.pread(fd, size, 0)
        start = text[:-1].rfind(b'\n') + 1
        os.ftruncate(fd, start + (size - start)//2)
        time.sleep(.5)   # the other ranks go on as far as they can without this one
        self.die()

    def die(self):
        "Ends this process as `kill -9` does."
        os.kill(os.getpid(), signal.SIGKILL)
