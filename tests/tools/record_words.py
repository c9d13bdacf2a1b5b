"""Makes the study of SmolLM2 on words: a learning rate for each method, then seeds at that rate; records every run.

    python tests/tools/record_words.py WORK [--arm clean|errors] [--rates 5e-5,1e-4] [--seeds 0,1,2,3]
                                            [--problems 150] [--out data/recorded] [--as runs/words]
                                            [--tuned-on clean]

Rates are chosen with seed 100 on the second held-out split, which is not reported; a method that is best at the lowest
or highest rate goes on to the next. One run then has every method at its own rate, on the reported split. WORK holds
the run folders: the same command goes on where it stopped, also after kill -9. It takes hours, and wants a machine of
its own. --tuned-on takes the rates that another arm chose. What is recorded in OUT is not made again, and seeds that
it lacks are added to it: several machines, or days, can share the work (--only-rate R makes the run of one rate and
stops).
"""
import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from mot_nb.answers.over_seeds import rows_over_seeds
from mot_nb.core.errors import MotError
from mot_nb.core.settings import profile_settings
from mot_nb.data.words import write_erring
from mot_nb.methods.recorded import join_records, read_record, record_run
from pages import commit

# a method as its rows name it -> what `rounds.methods` and `rounds.mtd_budgets` say for it
METHODS = {'mot': (['mot'], []), 'std': (['std'], []), 'oneshot': (['std', 'oneshot'], []),
           'mtd-depth': (['mtd'], ['depth']), 'mtd-compute': (['mtd'], ['compute'])}

ERRING = 'A teacher is one too high where the last step is an operation of its own; no trace is dropped.'


def told(asked):
    "What the record of the arm with errors says of itself."
    rates = f' at the learning rates of the {asked.tuned_on} arm' if asked.tuned_on else ''
    return f'{ERRING} Recorded by tests/tools/record_words.py{rates}.'


def arm_settings(arm, work):
    "What an arm adds: clean traces, or teachers who err by a rule of their own and whose errors are kept."
    if arm == 'clean': return []
    write_erring(work/'erring')     # the same files whenever it is written
    return ['data.pool=folder', 'data.path=erring', 'data.filtered=false',   # from WORK: no machine's path is recorded
            'name=words, teachers err']


def recorded(path, settings):
    "The `RunResult` of a record, or None where there is none; raises where it has other settings than its seeds."
    if not path.exists(): return None
    made = read_record(path)[0]
    free = {k: getattr(settings, k) for k in ('seeds', 'name', 'notes')}
    if replace(made.settings, **free) == settings: return made
    raise MotError('this record was made with other settings', where=str(path), values=made.settings.name,
                   cure='give another name with --as, or another folder with --out')


def command(asked, seeds):
    "What makes a record of these seeds, as anyone could type it: what differs from the defaults is named."
    given = {'arm': 'clean', 'tuned_on': None, 'problems': 150, 'settings': 'long/words', 'record': None, 'set': []}
    words = []
    for name, usual in given.items():
        value, option = getattr(asked, name), {'record': 'as'}.get(name, name.replace('_', '-'))
        if value != usual: words += [f'--{option}', *(value if isinstance(value, list) else [str(value)])]
    return shlex.join(['python', 'tests/tools/record_words.py', 'WORK', *words, '--seeds', ','.join(map(str, seeds))])


def run(asked, name, record, *words):
    "One `mot run`, finished or gone on with, and recorded under a name; only seeds that are not recorded are run."
    path, words = asked.out/f'{record}.jsonl', [*words, *asked.set]
    settings = profile_settings(*asked.settings.split('/'), words)
    made = recorded(path, settings)
    open_ = [s for s in settings.seeds if not made or s not in made.settings.seeds]
    if not open_: return made
    out = asked.work/(name if open_ == list(settings.seeds) else f'{name}-{"-".join(map(str, open_))}')
    line = [sys.executable, '-m', 'mot_nb', 'run', asked.settings, *words, f'seeds={open_}', '--out', str(out)]
    print(' '.join(line[2:]), flush=True)
    subprocess.run(line, check=True, env={**os.environ, 'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', '1')})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = record_run(out, path if not made else path.with_suffix('.part'), commit())
    if made:
        seeds = sorted({*made.settings.seeds, *settings.seeds})
        join_records([path, part], path, command(asked, seeds), name=settings.name, notes=settings.notes)
        part.unlink()
    return read_record(path)[0]


def named(row):
    "The name in `METHODS` of a row of metrics."
    return f"mtd-{row['budget']}" if row['method'] == 'mtd' else row['method']


def best_by_method(result):
    "method -> its highest accuracy in a run; of single teachers the best."
    last = [r for r in rows_over_seeds([r for r in result.rows if r['metric'] == 'accuracy']) if named(r) in METHODS]
    return {m: max(r['value'] for r in last if named(r) == m) for m in METHODS if any(named(r) == m for r in last)}


def best_rate(by): # rate -> accuracy
    "The rate with the highest accuracy; the lower one of equals."
    return min(by, key=lambda rate: (-by[rate], rate))


def rates_to_try(found, most=4): # method -> rate -> accuracy; rates a method is tried at
    "rate -> methods: the next one of those that are best at the lowest or the highest rate they were tried at."
    out = {}
    for method, by in found.items():
        best = best_rate(by)
        if len(by) >= most or min(by) < best < max(by): continue
        out.setdefault(best * 2 if best == max(by) else best / 2, []).append(method)
    return out


def asked_of(methods):
    "What settings say for methods that run at one rate."
    base = list(dict.fromkeys(x for m in methods for x in METHODS[m][0]))
    budgets = [b for m in methods for b in METHODS[m][1]] or ['depth']
    return f'rounds.methods=[{",".join(base)}]', f'rounds.mtd_budgets=[{",".join(budgets)}]'


def at_rate(asked, arm, rate, methods=METHODS):
    "The run of methods at one rate, on the problems that choose."
    name = f'{asked.arm}-{rate:g}'
    return run(asked, name, f'rates/words-{name}', *arm, 'seeds=[100]', f'train.lr={rate:g}', 'rounds.rates={}',
               'data.split=in_template', f'data.n_heldout={min(100, asked.problems)}', *asked_of(methods))


def tuned(asked):
    "method -> its learning rate, chosen on the second held-out split with a seed that is not reported."
    asked = argparse.Namespace(**{**vars(asked), 'arm': asked.tuned_on or asked.arm})
    arm = arm_settings(asked.arm, asked.work)
    found, open_ = {m: {} for m in METHODS}, {float(rate): list(METHODS) for rate in asked.rates.split(',')}
    while open_:
        for rate, methods in open_.items():
            for m, value in best_by_method(at_rate(asked, arm, rate, methods)).items(): found[m][rate] = value
        open_ = rates_to_try(found)
        print(found, flush=True)
    return {m: best_rate(by) for m, by in found.items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', type=Path)
    p.add_argument('--arm', choices=('clean', 'errors'), default='clean')
    p.add_argument('--rates', default='5e-5,1e-4')
    p.add_argument('--tuned-on', choices=('clean', 'errors'), help='whose rates; those of the arm itself')
    p.add_argument('--only-rate', type=float, metavar='R', help='make and record the run of one rate, no more')
    p.add_argument('--seeds', default='0,1,2,3')
    p.add_argument('--problems', type=int, default=150)
    p.add_argument('--out', type=Path, default=Path('data/recorded'))
    p.add_argument('--as', dest='record', metavar='NAME', help='recorded as; runs/words or runs/words-errors')
    p.add_argument('--settings', default='long/words', help='whose student and sizes')
    p.add_argument('--set', nargs='*', default=[], metavar='key=value', help='settings to change, for a trial')
    asked = p.parse_args()
    if asked.only_rate and asked.tuned_on: p.error('--only-rate makes a run of the arm itself: leave out --tuned-on')
    asked.work.mkdir(parents=True, exist_ok=True)
    asked.work, asked.out = asked.work.resolve(), asked.out.resolve()
    os.chdir(asked.work)
    arm = arm_settings(asked.arm, asked.work)
    if asked.only_rate: return at_rate(asked, arm, asked.only_rate)
    chosen = tuned(asked)
    print('chosen:', chosen, flush=True)
    own = ', '.join(f'{m}: {rate:g}' for m, rate in chosen.items())
    record = asked.record or 'runs/words' + '-errors' * (asked.arm == 'errors')
    said = [f'notes={told(asked)}'] if asked.arm == 'errors' else []
    run(asked, asked.arm, record, *arm, *said, f'seeds=[{asked.seeds}]', f'train.lr={chosen["std"]:g}',
        f'rounds.rates={{{own}}}', f'data.n_heldout={asked.problems}', *asked_of(METHODS))


if __name__ == '__main__': main()
