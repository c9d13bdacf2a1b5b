"A class works in a copy: what it runs and changes is no file of the checkout, and stays when the copy is renewed."
import contextlib, json, subprocess

import pytest

import house
from mot_nb.app import course
from mot_nb.app.cli import main
from mot_nb.core.errors import MotError
from mot_nb.core.files import COPIED


@pytest.fixture
def pages(tmp_path, monkeypatch):
    "A checkout of three pages, of which one leads to a notebook of the library."
    root = tmp_path/'checkout'/'nbs'
    for name, text in (('paper/50_a', '[loss](../student/04_loss.ipynb) [gone](../student/05_gone.ipynb)'),
                       ('course/50_exercises', 'x'), ('reports/80_b', 'y'), ('student/04_loss', 'z'),
                       ('student/06_other', 'z')):
        (root/name).parent.mkdir(parents=True, exist_ok=True)
        (root/f'{name}.ipynb').write_text(json.dumps({'cells': [{'source': [text]}]}))
    monkeypatch.setattr(course, 'pages_folder', lambda: root)
    return root


def files_in(folder):
    "Names of all files in a folder."
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file())


PAGES = ['course/50_exercises.ipynb', 'paper/50_a.ipynb', 'reports/80_b.ipynb', 'student/04_loss.ipynb']


def test_a_copy_has_the_pages_and_what_they_lead_to(pages, tmp_path):
    copied = course.course_copy(tmp_path/'class')
    assert files_in(tmp_path/'class') == [COPIED, *PAGES] and sorted(copied.new) == PAGES


def test_what_somebody_changed_stays(pages, tmp_path):
    "Only files that are as they were copied are renewed; those that are left are named."
    copy = tmp_path/'class'
    course.course_copy(copy)
    (copy/'paper'/'50_a.ipynb').write_text('my answers')
    (copy/'reports'/'80_b.ipynb').write_text('my report')
    (copy/'course'/'50_exercises.ipynb').unlink()
    (copy/'notes.txt').write_text('mine')
    (pages/'student'/'04_loss.ipynb').write_text('a newer notebook')
    (pages/'paper'/'50_a.ipynb').write_text('a newer page [l](../student/04_loss.ipynb)')
    copied = course.course_copy(copy)
    assert (copied.new, copied.updated, copied.left) == ((PAGES[0],), (PAGES[3],), (PAGES[1],))
    assert (copy/'paper'/'50_a.ipynb').read_text() == 'my answers' and PAGES[1] in str(copied)
    assert (copy/'reports'/'80_b.ipynb').read_text() == 'my report' and (copy/'notes.txt').read_text() == 'mine'
    assert (copy/'student'/'04_loss.ipynb').read_text() == 'a newer notebook'
    assert course.course_copy(copy).left == (PAGES[1],)            # it is named until somebody decides


def test_a_copy_that_was_killed_is_finished(pages, tmp_path, monkeypatch):
    "After any file: what was written is known, or is the same as its source."
    real, written = course.write_atomic, []
    def killed(path, data):
        if len(written) == stop: raise KeyboardInterrupt
        written.append(path)
        return real(path, data)
    for stop in range(9):
        copy = tmp_path/f'class {stop}'
        written.clear()
        monkeypatch.setattr(course, 'write_atomic', killed)
        with contextlib.suppress(KeyboardInterrupt): course.course_copy(copy)
        monkeypatch.setattr(course, 'write_atomic', real)
        assert not course.course_copy(copy).left and files_in(copy) == [COPIED, *PAGES]


def test_a_folder_of_something_else_is_refused(pages, tmp_path):
    (tmp_path/'thesis').mkdir()
    (tmp_path/'thesis'/'a.tex').write_text('x')
    (tmp_path/'file').write_text('x')
    (tmp_path/'damaged').mkdir()
    (tmp_path/'damaged'/COPIED).write_text('[1')
    for folder, says in ((tmp_path/'thesis', 'something else'), (tmp_path/'file', 'a file'), (pages, 'among the pages'),
                         (pages/'paper'/'mine', 'among the pages'), (tmp_path/'file'/'x', 'could not write'),
                         (tmp_path/'damaged', 'cannot be read'), ('/proc/x', 'could not write')):
        before = files_in(tmp_path)
        with pytest.raises(MotError, match=says): course.course_copy(folder)
        assert files_in(tmp_path) == before


def test_without_pages_it_says_where_they_are(tmp_path, monkeypatch, capsys):
    "An installed package has none."
    (tmp_path/'data'/'profiles').mkdir(parents=True)
    monkeypatch.setenv('MOT_DATA', str(tmp_path/'data'))
    monkeypatch.chdir(tmp_path)
    assert main(['course', 'mine']) == 1 and 'checkout' in capsys.readouterr().err and not (tmp_path/'mine').exists()


def test_the_real_pages(tmp_path, monkeypatch, capsys):
    "Every link of a page leads somewhere in the copy, and nothing in the checkout is touched."
    monkeypatch.chdir(tmp_path)
    before = {p: p.read_bytes() for p in course.course_files().values()}
    assert main(['course', 'mine']) == 0 and 'jupyter lab mine' in capsys.readouterr().out
    for shelf in ('paper', 'course'):
        for page in (tmp_path/'mine'/shelf).glob('*.ipynb'):
            for name in course._LINK.findall(page.read_text(encoding='utf-8')):
                assert (tmp_path/'mine'/name).exists(), (page.name, name)
            page.write_text('run and saved')
    assert before == {p: p.read_bytes() for p in course.course_files().values()}


def test_make_lab_opens_the_copy():
    done = subprocess.run(['make', '-n', 'lab'], cwd=house.ROOT, capture_output=True, text=True)
    if done.returncode: pytest.skip(done.stderr)
    assert 'mot course lab' in done.stdout and '/lab/tree/lab/paper/50_one_teacher.ipynb' in done.stdout
    ignored = subprocess.run(['git', 'check-ignore', 'lab/paper/50_one_teacher.ipynb'], cwd=house.ROOT)
    assert ignored.returncode == 0 or not (house.ROOT/'.git').exists()
