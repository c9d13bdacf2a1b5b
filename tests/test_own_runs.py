"Reports on runs of one's own: which runs are meant, which templates have something to say, one file in the end."
import json, shutil

import pytest

import house
from mot_nb.app.cli import main
from mot_nb.app.own_report import RUN_TEMPLATES, asked_parameters, found_runs, report_runs, template_jobs
from mot_nb.app.pages import page_parameters
from mot_nb.core.errors import MotError
from mot_nb.core.settings import profile_settings, to_yaml

RECORDED = house.ROOT/'data'/'recorded'/'runs'
SMALL = ['rounds.rounds=1', 'rounds.methods=[mot, std]', 'train.steps=1', 'data.n_train=6', 'data.n_heldout=4',
         'eval.max_new_tokens=8', 'eval.loss_rows=2']


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    "A folder with two finished runs: a kept all its students, b only the last MoT student of one seed."
    from mot_nb.methods.runs import run
    folder = tmp_path_factory.mktemp('own')
    run(profile_settings('smoke', 'toy', [*SMALL, 'rounds.keep=all']), folder/'a', progress=False)
    run(profile_settings('smoke', 'toy', [*SMALL, 'rounds.keep=mot', 'seeds=0']), folder/'b', progress=False)
    return folder


def names(jobs):
    return [j.name for j in jobs]


def test_which_runs_are_meant(own, tmp_path):
    "A run folder, a folder of runs, a recorded run; a run that is named twice counts once, one name is numbered."
    assert list(found_runs([own/'a'])) == ['a'] and list(found_runs([own])) == ['a', 'b']
    assert list(found_runs([own, own/'a', RECORDED/'toy.jsonl'])) == ['a', 'b', 'toy']
    shutil.copytree(own/'a', tmp_path/'a')
    assert list(found_runs([own/'a', tmp_path/'a'])) == ['a', 'a (2)']


def test_what_is_no_run_is_refused(own, tmp_path):
    (tmp_path/'empty').mkdir()
    (tmp_path/'begun').mkdir()
    (tmp_path/'begun'/'settings.yaml').write_text(to_yaml(profile_settings('smoke', 'toy')))
    (tmp_path/'text').write_text('x\ny\n')
    wrong = {'empty': 'no run in this folder', 'none': 'not here', 'begun': 'not finished', 'text': 'cannot be read'}
    for word, says in wrong.items():
        with pytest.raises(MotError, match=says): found_runs([tmp_path/word])


def test_which_templates_have_something_to_say(own):
    jobs, left_out = template_jobs(found_runs([own]))
    assert names(jobs) == ['80_best_teacher', '81_mot_main', '82_confidence of a', '83_landscape of a',
                           '82_confidence of b', '83_landscape of b', '84_compare_runs of a and b']
    jobs, left_out = template_jobs(found_runs([RECORDED/'toy.jsonl']))
    assert names(jobs) == ['80_best_teacher', '81_mot_main']
    assert names(left_out) == ['82_confidence of toy', '83_landscape of toy']
    shutil.rmtree(own/'b'/'seed-0'/'students')
    jobs, left_out = template_jobs(found_runs([own/'b']))
    assert names(left_out) == ['82_confidence of b', '83_landscape of b'] and 'rounds.keep=all' in left_out[0].why_not
    for which, says in (('82', 'rounds.keep=all'), ('84', 'two runs'), ('79', 'unknown template'), ('', 'unknown'),
                        ('81;84', 'unknown template')):
        with pytest.raises(MotError, match=says): template_jobs(found_runs([own/'b']), which)


def test_one_file_that_is_made_once(own, tmp_path, monkeypatch, capsys):
    "The command line; a second call runs nothing; other results run the templates again; a failed one has its place."
    from mot_nb.app import own_report
    made = []
    def stand_in(stages, lanes, began, ended, failed, said, tick, fork):
        import nbformat
        from nbformat.v4 import new_markdown_cell, new_notebook
        for s in stages:
            began(s)
            made.append(s.name)
            told[s.name] = s.args['params']
            nb = new_notebook(cells=[new_markdown_cell(f'# {s.name} <b>')])
            out = tmp_path/s.args['out']
            out.parent.mkdir(exist_ok=True)
            if s.name in broken:
                nbformat.write(nb, out.with_name(f'{out.stem}.failed.ipynb'))
                failed(s, MotError('a page did not run', where=s.name))
            else:
                nbformat.write(nb, out)
                ended(s, 1., {'memory': 0})
    monkeypatch.setattr(own_report, 'run_stages', stand_in)
    monkeypatch.chdir(tmp_path)
    broken, told = [], {}
    assert main(['report', str(own/'a'), '--templates', '81,82', '--quiet']) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path/'reports'/'a'/'index.html')
    assert made == ['81_mot_main', '82_confidence of a']
    text = (tmp_path/'reports'/'a'/'index.html').read_text()
    assert text.count('<section>') == 3 and str(own) not in text     # two templates, and how it was made
    report_runs([own/'a'], templates='81,82', show=None)
    assert len(made) == 2 and 'measured' in told['82_confidence of a']['kept']
    report_runs([own/'a', '82.problems=3'], templates='81,82', show=None)
    assert made[2:] == ['82_confidence of a'] and told['82_confidence of a']['problems'] == 3
    made.pop()
    report_runs([own/'a'], templates='81,82', show=None)
    made.pop()
    settings = own/'a'/'settings.yaml'
    settings.write_text(settings.read_text() + '# looked at\n')
    broken.append('82_confidence of a')
    with pytest.raises(MotError, match='1 of 2 templates'): report_runs([own/'a'], templates='81,82', show=None)
    assert len(made) == 4 and 'did not run to their end' in (tmp_path/'reports'/'a'/'index.html').read_text()
    (tmp_path/'thesis').mkdir()
    (tmp_path/'thesis'/'a.tex').write_text('x')
    with pytest.raises(MotError, match='something else'): report_runs([own/'a'], tmp_path/'thesis', show=None)


def test_the_teachers_of_a_run(own):
    "Template 80 draws its tables from finished runs: one row per teacher and seed, the base beside them."
    from mot_nb.analysis.best_teacher import teacher_table
    from mot_nb.analysis.claims import scores_of, single_teacher_rows
    result = found_runs([own/'a'])['a'][1]
    rows, found = single_teacher_rows(result), scores_of(result)
    teachers = (None, 'plain', 'verbose', 'foreign')
    assert {(r['teacher'], r['seed']) for r in rows} == {(t, s) for t in teachers for s in (0, 1)}
    for r in rows: assert r['score'] == found[r['seed'], f"std-{r['teacher']}-r1" if r['teacher'] else 'base']
    assert 'best teacher' in str(teacher_table(rows))


def code_of(template):
    "The code of a template's cells, the first of them its parameters."
    nb = json.loads((house.ROOT/'nbs'/'reports'/template).read_text(encoding='utf-8'))
    return [''.join(c['source']) for c in nb['cells'] if c['cell_type'] == 'code']


def refusing(cells):
    "The cells before a template's first work: the third, or all up to the one that says that it refuses."
    last = next((i for i, c in enumerate(cells) if c.startswith('# all of it is refused here')), 2)
    return '\n'.join(cells[2:last + 1])


OWN = 'the finished run'  # stands for the folder of a run in the cases below
REFUSED = { # template -> parameter -> (value that is none, what the refusal says[, further parameters])
    '80_best_teacher': {
        'results': (['nowhere'], 'not here'), 'students': (['nobody'], 'nobody'), 'pool': ('none', 'none'),
        'teachers': (['nobody'], 'nobody'), 'corpora': (['long'], 'long'), 'seeds': ([], 'seeds'),
        'n_train': (0, 'n_train'), 'n_heldout': (0, 'n_heldout'), 'steps': (0, 'steps'), 'batch': (0, 'train.batch'),
        'lr': (-1., 'train.lr'), 'max_new_tokens': (0, 'eval.max_new_tokens')},
    '81_mot_main': {
        'results': (['nowhere'], 'not here'), 'names': (['one', 'one'], 'every result needs a name'),
        'claims': ([99], '99')},
    '82_confidence': {
        'run': ('nowhere', 'nowhere'), 'problems': (0, 'problems'), 'teachers': (['nobody'], 'nobody'),
        'students': (['mot-r9'], 'mot-r9'), 'seeds': ([7], '7'), 'threshold': (0., 'threshold'),
        'traces_kept': (-1, 'traces_kept'), 'clock': (-1, 'clock'), 'clock_repeats': (0, 'clock_repeats'),
        'device': ('gpu', 'device'), 'dtype': ('half', 'half')},
    '83_landscape': {
        'run': ('nowhere', 'nowhere'), 'seeds': ([7], '7'), 'rows_each': (999, 'fewer rows'), 'radii': ([0.], 'radi'),
        'directions': (1, 'directions'), 'norm': ('filtre', 'filter'), 'barrier_points': (1, 'barrier_points'),
        'barrier_seeds': (0, 'barrier_seeds'), 'products': (-1, 'products'), 'probes': (1, 'probe'),
        'curvature_rows': (999, 'fewer rows'), 'curvature_seeds': (0, 'curvature_seeds'),
        'plane_points': (1, 'plane_points'), 'around_points': (4, 'around_points'),
        'around_students': (['mot-r9'], 'mot-r9'), 'back_points': (2, 'back_points'), 'back_seeds': (0, 'back_seeds'),
        'students': (['mot-r9'], 'mot-r9'), 'micro_tokens': (0, 'micro_tokens'), 'device': ('gpu', 'device'),
        'dtype': ('half', 'half')},
    '84_compare_runs': {
        'a': ('nowhere', 'no such run'), 'b': ('nowhere', 'no such run', {'a': OWN}), 'name_a': ('b', 'two names'),
        'change': (['train.step=1'], 'steps'), 'name_b': ('a', 'two names')}}
ANY = {'commit', 'command', 'record', 'kept', 'surfaces', 'runs', 'shifted'} # words and places, whatever they say


@pytest.mark.parametrize('template', REFUSED)
def test_every_parameter_of_a_template_is_documented_and_has_a_case_below(template):
    known = page_parameters(house.ROOT/'nbs'/'reports'/f'{template}.ipynb')
    assert set(REFUSED[template]) == set(known) - ANY and template[:2] in RUN_TEMPLATES
    assert all(len(p['help']) > 10 for p in known.values()), known


def none_of_it(*args, **kwargs): raise AssertionError('something was trained or measured')


@pytest.mark.parametrize('template, name', [(t, n) for t, cases in REFUSED.items() for n in cases])
def test_a_template_refuses_at_once(template, name, own, tmp_path, monkeypatch):
    "Before anything is trained, measured or written, with a word that names the fault."
    from mot_nb.analysis import confidence_runs, landscape_runs, scored_traces, variant_runs
    from mot_nb.methods import runs
    monkeypatch.chdir(tmp_path)
    cells, names = code_of(f'{template}.ipynb'), {}
    exec(cells[0], names)
    value, says, *more = REFUSED[template][name]
    start = {'run': str(own/'a')} if 'run' in names else {}
    names.update({**start, **{k: str(own/'a') for k in (more or [{}])[0]}, name: value})
    monkeypatch.setattr(runs, 'run', none_of_it)
    monkeypatch.setattr(variant_runs, 'variant_run', none_of_it)
    monkeypatch.setattr(scored_traces, 'row_confidence', none_of_it)
    monkeypatch.setattr(confidence_runs, 'score_traces', none_of_it)
    monkeypatch.setattr(landscape_runs, 'sharpness', none_of_it)
    exec(cells[1], names)
    with pytest.raises(MotError, match=says) as e: exec(refusing(cells), names)
    assert e.value.cure and not any(tmp_path.iterdir())


@pytest.mark.parametrize('template', REFUSED)
def test_other_kinds_of_values_are_refused_and_one_is_a_list_of_one(template):
    from mot_nb.app.pages import parameters_cell, typed_parameters
    page = house.ROOT/'nbs'/'reports'/f'{template}.ipynb'
    names, source = {}, parameters_cell(page)
    exec(source, names)
    for name in page_parameters(page):
        default, take = names[name], lambda v: typed_parameters(source, {name: v})[name]
        if not isinstance(default, list):
            with pytest.raises(MotError, match='wrong type'): take([1, 2])
        if isinstance(default, (int, float)):
            with pytest.raises(MotError, match='wrong type'): take('many')
        if isinstance(default, list): assert take('7') in (['7'], [7]) and take(None) == [] and take('[]') == []


def test_parameters_on_the_command_line(own):
    "For one template or for all that have it; what the report sets itself, and what nobody has, is refused."
    words, told = asked_parameters([own/'a', '82.problems=9', 'device=cpu', '83.radii=.2', '81.claims=3'])
    assert words == [str(own/'a')] and told['82'] == {'problems': 9, 'device': 'cpu'} and told['81'] == {'claims': [3]}
    assert told['83'] == {'device': 'cpu', 'radii': [.2]} and told['80'] == told['84'] == {}
    for wrong, says in (('82.problem=9', 'problems'), ('82.problems=nine', 'whole number'), ('82.run=x', 'set by the'),
                        ('90.n=1', 'template'), ('81.device=cpu', 'parameter'), ('nothing=1', 'parameter')):
        with pytest.raises(MotError, match=says): asked_parameters([own/'a', wrong])


def test_a_landscape_of_one_student_has_something_to_compare(own):
    "Of MoT's last student alone there is no difference: the base stands beside it. (This once ended after minutes.)"
    from mot_nb.analysis.landscape_runs import LandscapeRun, compare_sharpness, flatness_answer, measure_sharpness
    m = LandscapeRun(own/'a', students=['mot-r1'], seeds=[0], rows_each=1, directions=2, device='cpu')
    pairs = compare_sharpness(m, measure_sharpness(m))
    assert [p['b'] for p in pairs] == ['base'] and 'base' in flatness_answer(m, pairs)


@pytest.mark.parametrize('params, says', [(dict(pool='words', teachers=['plain']), 'plain')])
def test_template_80_refuses_at_once(params, says, tmp_path, monkeypatch):
    "Before anything is trained or written."
    monkeypatch.chdir(tmp_path)
    cells, names = code_of('80_best_teacher.ipynb'), {}
    exec(cells[0], names)
    names.update(params)
    for cell in cells[1:2]: exec(cell, names)
    with pytest.raises(MotError, match=says): exec(refusing(cells), names)


def test_template_80_on_data_of_ones_own(own, tmp_path):
    "A folder of problems and traces, and the data of a run."
    cells = code_of('80_best_teacher.ipynb')
    pool = house.ROOT/'data'/'words'
    for given, teachers in ((own/'a', ['foreign', 'plain', 'verbose']), (pool, None)):
        names = {}
        exec(cells[0], names)
        names.update(pool=str(given), runs=str(tmp_path))
        whole = next(i for i, c in enumerate(cells) if c.startswith('def corpus_folder'))
        for cell in cells[1:whole + 1]: exec(cell, names)
        at, n = names['corpus_folder']('all')
        there = sorted(p.stem for p in (at/'teachers').glob('*.jsonl'))
        assert n > 0 and (there == teachers if teachers else len(there) > 1) and names['corpora'] == ['all']


def test_two_runs_of_one_student_stand_apart():
    "Template 80 on runs with the same student, corpus and seeds: each place is called by its run; others keep theirs."
    from mot_nb.analysis.best_teacher import named_apart
    row = lambda teacher, seed, score, corpus='toy': dict(student='tiny', corpus=corpus, teacher=teacher, seed=seed,
                                                          score=score, marks={str(i): i % 3 == 0 for i in range(12)})
    a, b = ([row(t, s, .4) for t in ('base', 'plain', 'verbose') for s in (0, 1)] for _ in range(2))
    rows = named_apart([a, b + [row('plain', 0, .5, 'other')]], ['a', 'b'])
    assert {r['corpus'] for r in rows} == {'toy (a)', 'toy (b)', 'other'}
    more = named_apart([a, [row(t, 2, .4) for t in ('base', 'plain', 'verbose')]], ['a', 'b'])
    assert {r['corpus'] for r in more} == {'toy'}                  # other seeds of one place belong together
