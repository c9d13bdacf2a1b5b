"""Tokens per second of each engine on one student and one set of word problems, and whether the answers are the same.

    python tests/tools/bench_engines.py FILE [PROBLEMS] [TOKENS] [ENGINE ...]

Rows are added to the recorded FILE as they are measured. Greedy for all engines; at temperature 0.8 for those that draw
our noise. One thread each, one engine at a time.
"""
import contextlib, json, os, signal, subprocess, sys, tempfile, time
from pathlib import Path

import psutil
import torch

from mot_nb.answers.engines import ServerEngine, TransformersEngine, VllmEngine
from mot_nb.answers.server import server_models
from mot_nb.answers.vllm_process import vllm_python
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.machine import environment
from mot_nb.core.records import add_recorded
from mot_nb.core.settings import DataSettings
from mot_nb.data.pools import load_pool, prompt_of
from mot_nb.student.students import load_student, student_folder
from mot_nb.student.weights import student_state
from pages import commit

STUDENT, PORT = 'smollm2-135m', 8123
MODES = {'greedy': {}, 'temperature 0.8': dict(temperature=.8, seed=1)}
SERVER = ['-m', 'vllm.entrypoints.openai.api_server', '--port', str(PORT), '--host', '127.0.0.1', '--dtype', 'float32',
          '--enforce-eager', '--max-model-len', '1024', '--served-model-name', STUDENT]
SERVER_ENV = dict(VLLM_CPU_KVCACHE_SPACE='2', VLLM_CPU_OMP_THREADS_BIND='nobind', OMP_NUM_THREADS='1',
                  HF_HUB_OFFLINE='1', VLLM_NO_USAGE_STATS='1')


def seconds(pid):
    "CPU seconds of a process and all below it."
    p = psutil.Process(pid)
    return sum(t.user + t.system for t in (q.cpu_times() for q in [p, *p.children(recursive=True)]))


def measured(engine, prompts, path, pid, **how):
    "The answers, and what they took; of an engine that runs elsewhere the process `pid()` is counted."
    cpu, wall = seconds(pid()), time.time()
    got = engine.sample(prompts, path, batch=len(prompts), **how)
    cpu, wall = seconds(pid()) - cpu, time.time() - wall
    samples = [s for of in got.values() for s in of]
    tokens, cut = sum(s.n_tokens for s in samples), sum(s.truncated for s in samples)
    return got, dict(tokens=tokens, wall_s=round(wall, 1), cpu_s=round(cpu, 1), tokens_per_s=round(tokens/wall, 1),
                     tokens_per_cpu_s=round(tokens/cpu, 1), truncated=round(cut/len(samples), 3))


class Bench:
    "One student, its problems, and the file that takes the rows."
    def __init__(self, out, n, longest, folder): # file; problems; tokens; for sample files
        self.out, self.n, self.longest, self.folder, self.first = Path(out), n, longest, Path(folder), {}
        self.model, self.tok = load_student(STUDENT)
        self.hash = hash_tensors(student_state(self.model))
        pool = load_pool(DataSettings(pool='words', n_heldout=n), 0)
        self.prompts = {p.id: prompt_of(pool, p) for p in pool.heldout}
        self.about = dict(student=STUDENT, model=self.hash[:12], problems=n, max_new_tokens=longest, batch=n,
                          threads=1, cpu=environment()['cpu'], cores=os.cpu_count(), load=round(os.getloadavg()[0], 1))
        self.made = dict(commit=commit(), command='python ' + ' '.join(sys.argv),
                         environment={**environment(), 'threads': 1})

    def measure(self, name, mode, engine, pid, **more):
        "Adds one row."
        path = self.folder/f'{name}-{mode}.jsonl'
        got, row = measured(engine, self.prompts, path, pid, max_new_tokens=self.longest, **MODES[mode])
        first = self.first.setdefault(mode, got)
        same = sum(a.text == b.text for p in self.prompts for a, b in zip(got[p], first[p]))
        row = dict(engine=name, mode=mode, **row, same_answers=same, of=self.n, dtype='float32', **more, **self.about)
        add_recorded(self.out, 'engines', [row], **self.made)
        print(json.dumps(row), flush=True)

    def own(self): return TransformersEngine(self.model, self.tok, self.hash)

    def transformers(self):
        "This library's loop."
        for mode in MODES: self.measure('transformers', mode, self.own(), os.getpid, start_s=0)

    def vllm(self):
        "vLLM in a process of its own."
        longest, start = max(len(self.tok.encode(p)) for p in self.prompts.values()) + 64 + self.longest, time.time()
        with VllmEngine(student_folder(STUDENT), self.tok, self.hash, model=self.model, threads=1) as v:
            v.start(longest, self.n)
            took = round(time.time() - start, 1)
            for mode in MODES:
                self.measure('vllm', mode, v, lambda: v.process.process.pid, start_s=took, version=v.process.version,
                             canary=v.canary.largest)

    def server(self):
        "An OpenAI-compatible server, asked by ids and by chat."
        if 'greedy' not in self.first:   # what to compare with
            self.first['greedy'] = self.own().sample(self.prompts, self.folder/'own.jsonl', batch=self.n,
                                                     max_new_tokens=self.longest)
        with served(self.n, self.folder/'log') as (pid, took):
            for name, tokenizer in (('server, prompts as ids', self.tok), ('server, prompts as chat', None)):
                engine = ServerEngine(f'http://127.0.0.1:{PORT}', STUDENT, tokenizer)
                self.measure(name, 'greedy', engine, lambda: pid, start_s=took)


@contextlib.contextmanager
def served(n, log):
    "(process id, seconds until it answered) of a server, which ends with the block."
    start = time.time()
    words = [str(vllm_python()), *SERVER, '--model', str(student_folder(STUDENT)), '--max-num-seqs', str(n)]
    with open(log, 'w') as file:
        p = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True,
                             env={**os.environ, **SERVER_ENV})
    try:
        while not answers():
            if p.poll() is not None or time.time() - start > 500:
                raise SystemExit('the server did not start: ' + Path(log).read_text()[-1500:])
            time.sleep(2)
        yield p.pid, round(time.time() - start, 1)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError): os.killpg(p.pid, signal.SIGKILL)  # its own group
        p.wait()


def answers():
    "Whether the server lists its models."
    try: server_models(f'http://127.0.0.1:{PORT}')
    except Exception: return False
    return True


def main(out, n=32, longest=48, *engines):
    "Every engine that is asked for, in this order."
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(out, int(n), int(longest), folder)
        for name in ('transformers', 'vllm', 'server'):
            if name in (engines or ('transformers', 'vllm', 'server')): getattr(bench, name)()


if __name__ == '__main__': sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
