"Reports on runs of one's own: which runs are meant, which templates have something to say, one file in the end."
import json, shutil

import pytest

import house
from mot_nb.app.cli import main
from mot_nb.app.own_report import found_runs, report_runs, template_jobs
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
    def stand_in(stages, lanes, began, ended, failed, said, tick):
        import nbformat
        from nbformat.v4 import new_markdown_cell, new_notebook
        for s in stages:
            began(s)
            made.append(s.name)
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
    broken = []
    assert main(['report', str(own/'a'), '--templates', '81,82', '--quiet']) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path/'reports'/'a'/'index.html')
    assert made == ['81_mot_main', '82_confidence of a']
    text = (tmp_path/'reports'/'a'/'index.html').read_text()
    assert text.count('<section>') == 3 and str(own) not in text     # two templates, and how it was made
    report_runs([own/'a'], templates='81,82', show=None)
    assert len(made) == 2
    settings = own/'a'/'settings.yaml'
    settings.write_text(settings.read_text() + '# looked at\n')
    broken.append('82_confidence of a')
    with pytest.raises(MotError, match='1 of 2 templates'): report_runs([own/'a'], templates='81,82', show=None)
    assert len(made) == 4 and 'did not run to their end' in (tmp_path/'reports'/'a'/'index.html').read_text()
    (tmp_path/'thesis').mkdir()
    (tmp_path/'thesis'/'a.tex').write_text('x')
    with pytest.raises(MotError, match='something else'): report_runs([own/'a'], tmp_path/'thesis', show=None)


def test_the_teachers_of_a_run(own):
    "Template 80 draws its tables from finished runs: one row a teacher and seed, the base beside them."
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


@pytest.mark.parametrize('params, says', [
    (dict(pool='none'), 'none'), (dict(teachers=['nobody']), 'nobody'), (dict(corpora=['long']), 'long'),
    (dict(pool='words', teachers=['plain']), 'plain')])
def test_template_80_refuses_at_once(params, says, tmp_path, monkeypatch):
    "Before anything is trained or written."
    monkeypatch.chdir(tmp_path)
    cells, names = code_of('80_best_teacher.ipynb'), {}
    exec(cells[0], names)
    names.update(params)
    for cell in cells[1:2]: exec(cell, names)
    with pytest.raises(MotError, match=says): exec(cells[2], names)


def test_template_80_on_data_of_ones_own(own, tmp_path):
    "A folder of problems and traces, and the data of a run."
    cells = code_of('80_best_teacher.ipynb')
    pool = house.ROOT/'data'/'words'
    for given, teachers in ((own/'a', ['foreign', 'plain', 'verbose']), (pool, None)):
        names = {}
        exec(cells[0], names)
        names.update(pool=str(given), runs=str(tmp_path))
        for cell in cells[1:4]: exec(cell, names)
        at, n = names['corpus_folder']('all')
        there = sorted(p.stem for p in (at/'teachers').glob('*.jsonl'))
        assert n > 0 and (there == teachers if teachers else len(there) > 1) and names['corpora'] == ['all']
