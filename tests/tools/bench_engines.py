"""Tokens per second of each engine on one student and one set of word problems, and whether the answers are the same; appended to a JSON-lines file as they are measured.

Greedy for all engines; at temperature 0.8 for those that draw our noise. One thread each, one engine at a time. Usage: python tests/tools/bench_engines.py OUT [PROBLEMS] [TOKENS] [ENGINE ...]
"""
import contextlib, json, os, signal, subprocess, sys, tempfile, time
from pathlib import Path

import psutil
import torch

from mot_nb.answers.engines import ServerEngine, TransformersEngine, VllmEngine
from mot_nb.answers.vllm_process import vllm_python
from mot_nb.data.pools import load_pool, prompt_of
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.files import append_line
from mot_nb.core.settings import DataSettings
from mot_nb.core.machine import environment
from mot_nb.answers.server import server_models
from mot_nb.student.weights import student_state
from mot_nb.student.students import load_student, student_folder

STUDENT = 'smollm2-135m'


def seconds(pid):
    "CPU seconds of a process and all below it."
    p = psutil.Process(pid)
    return sum(t.user + t.system for t in (q.cpu_times() for q in [p, *p.children(recursive=True)]))


def measured(engine, prompts, path, pid, **how):
    "The answers, and a row of what they took; of an engine that runs elsewhere the process `pid()` is counted."
    cpu, wall = seconds(pid()), time.time()
    got = engine.sample(prompts, path, batch=len(prompts), **how)
    cpu, wall = seconds(pid()) - cpu, time.time() - wall
    samples = [s for of in got.values() for s in of]
    tokens = sum(s.n_tokens for s in samples)
    return got, dict(tokens=tokens, wall_s=round(wall, 1), cpu_s=round(cpu, 1), tokens_per_s=round(tokens/wall, 1), tokens_per_cpu_s=round(tokens/cpu, 1), truncated=round(sum(s.truncated for s in samples)/len(samples), 3))


if __name__ == '__main__':
    out, n, longest = Path(sys.argv[1]), int((sys.argv[2:3] or [32])[0]), int((sys.argv[3:4] or [48])[0])
    wanted = sys.argv[4:] or ['transformers', 'vllm', 'server']
    torch.set_num_threads(1)
    model, tok = load_student(STUDENT)
    h, folder = hash_tensors(student_state(model)), student_folder(STUDENT)
    pool = load_pool(DataSettings(pool='words', n_heldout=n), 0)
    prompts = {p.id: prompt_of(pool, p) for p in pool.heldout}
    about = dict(student=STUDENT, model=h[:12], problems=n, max_new_tokens=longest, batch=n, threads=1, cpu=environment()['cpu'], cores=os.cpu_count(), load=round(os.getloadavg()[0], 1),
                 commit=subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True).stdout.strip(), command='python ' + ' '.join(sys.argv))
    modes = {'greedy': dict(), 'temperature 0.8': dict(temperature=.8, seed=1)}
    first = {}
    def note(engine, mode, got, row, **more):
        first.setdefault(mode, got)
        same = sum(a.text == b.text for p in prompts for a, b in zip(got[p], first[mode][p]))
        row = dict(engine=engine, mode=mode, **row, same_answers=same, of=n, **more, **about)
        append_line(out, row)
        print(json.dumps(row), flush=True)
    with tempfile.TemporaryDirectory() as tmp:
        path = lambda name: Path(tmp)/f'{name}.jsonl'
        for mode, how in modes.items() if 'transformers' in wanted else ():
            note('transformers', mode, *measured(TransformersEngine(model, tok, h), prompts, path('t-' + mode[0]), os.getpid, max_new_tokens=longest, **how), dtype='float32', start_s=0)
        if 'vllm' in wanted:
            start = time.time()
            with VllmEngine(folder, tok, h, model=model, threads=1) as v:
                v.start(max(len(tok.encode(p)) for p in prompts.values()) + 64 + longest, n)
                start = round(time.time() - start, 1)
                for mode, how in modes.items():
                    note('vllm', mode, *measured(v, prompts, path('v-' + mode[0]), lambda: v.process.process.pid, max_new_tokens=longest, **how), dtype='float32', start_s=start, version=v.process.version, canary=v.canary.largest)
        if 'server' not in wanted: raise SystemExit
        if 'greedy' not in first: first['greedy'] = TransformersEngine(model, tok, h).sample(prompts, path('t-g'), batch=n, max_new_tokens=longest)   # what to compare with
        port, start = 8123, time.time()
        serve = subprocess.Popen([str(vllm_python()), '-m', 'vllm.entrypoints.openai.api_server', '--model', str(folder), '--port', str(port), '--host', '127.0.0.1', '--dtype', 'float32', '--enforce-eager', '--max-model-len', '1024', '--served-model-name', STUDENT, '--max-num-seqs', str(n)],
                                 stdout=subprocess.DEVNULL, stderr=open(Path(tmp)/'log', 'w'), start_new_session=True,
                                 env=dict(os.environ, VLLM_CPU_KVCACHE_SPACE='2', VLLM_CPU_OMP_THREADS_BIND='nobind', OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1', VLLM_NO_USAGE_STATS='1'))
        try:
            while True:
                try: server_models(f'http://127.0.0.1:{port}'); break
                except Exception:
                    if serve.poll() is not None or time.time() - start > 500: raise SystemExit('the server did not start: ' + (Path(tmp)/'log').read_text()[-1500:])
                    time.sleep(2)
            start = round(time.time() - start, 1)
            for name, tokenizer in (('server, prompts as ids', tok), ('server, prompts as chat', None)):
                note(name, 'greedy', *measured(ServerEngine(f'http://127.0.0.1:{port}', STUDENT, tokenizer), prompts, path(name), lambda: serve.pid, max_new_tokens=longest), dtype='float32', start_s=start)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError): os.killpg(serve.pid, signal.SIGKILL)     # it leads a group of its own
            serve.wait()
