"The rules for pages of the walk-through, on those that were written by them: a picture first, short lines, an answer."
import copy, json, re

import pytest

import house

PAGES = ('50_one_teacher', '51_one_branch', '52_averaging', '53_rounds', '54_scores', '54a_best_teacher',
         '54b_forgetting', '55_confidence', '56_landscape', '56a_basin', '57_theory', '58_eight_gpus', '59_map',
         '60_methods', '62_fakes', '63_four_claims', '64_which_teachers')   # grows
LINES, COLUMNS = 12, 120   # of code before the first picture; of any line
OPEN, INTERVALS = 14, 2    # lines of a cell that is not folded; intervals in a paragraph
INTERVAL = re.compile(r'\[[+−-]?\d[\d.,]* ?%?, [+−-]?\d')


def page(name): return json.loads((house.ROOT/'nbs'/'paper'/f'{name}.ipynb').read_text(encoding='utf-8'))['cells']


def source(cell): return ''.join(cell['source'])


def shown(cell):
    "What a cell displays, as HTML or Markdown."
    data = [o.get('data', {}) for o in cell.get('outputs', [])]
    return ''.join(''.join(d.get('text/html', d.get('text/markdown', ''))) for d in data)


def before_picture(cells):
    "Lines of code up to the first picture."
    n = 0
    for c in cells:
        if c['cell_type'] == 'code': n += sum(bool(l.strip()) for l in source(c).splitlines())
        if '<img' in shown(c): return n
    return 10**6


def lines(cell):
    "Lines of code that stand open in a cell."
    folded = cell.get('metadata', {}).get('jupyter', {}).get('source_hidden')
    return 0 if folded or cell['cell_type'] != 'code' else sum(bool(l.strip()) for l in source(cell).splitlines())


def paragraphs(cell):
    "The text of a cell and of what it displays, without tables and pictures, paragraph by paragraph."
    text = source(cell) if cell['cell_type'] == 'markdown' else shown(cell)
    text = re.sub(r'<table\b.*?</table>|<img[^>]*>', '\n\n', text, flags=re.S)
    return re.split(r'\n\s*\n|<p\b|<li\b|<div\b', text)


def complaints(cells, name):
    "What breaks a rule."
    text = [source(c) for c in cells]
    prose = '\n'.join(s for c, s in zip(cells, text) if c['cell_type'] == 'markdown')
    found = [f'{len(l)} columns: {l[:60]}' for s in text for l in s.splitlines() if len(l) > COLUMNS]
    if before_picture(cells) > LINES: found.append('code before the first picture')
    found += [f'{lines(c)} lines in a cell: {source(c)[:60]}' for c in cells if lines(c) > OPEN]
    found += [f'intervals in a paragraph: {p[:60]}' for c in cells for p in paragraphs(c)
              if len(INTERVAL.findall(p)) > INTERVALS]
    wanted = [r'\*\d+ minutes\. Before: .*Next: ', r'\*\*The question\.\*\*', '## Paper says, measured here\n?',
              r'\*\*What would make it false\.\*\*']
    exercises = f'{name[:2]}_exercises.ipynb'
    if (house.ROOT/'nbs'/'course'/exercises).exists(): wanted.append(f'course/{exercises}')
    found += [f'missing: {w}' for w in wanted if not re.search(w, prose if 'minutes' not in w else text[0], re.S)]
    said = r'(?:<b>|\*\*)The answer\.(?:</b>|\*\*) (.+)'
    answers = [a for s in (prose, *map(shown, cells)) for a in re.findall(said, s)]
    if len(answers) != 1: found.append(f'{len(answers)} answers')
    said = [re.sub('<[^>]*>', '', a) for a in answers]
    found += [f'numbers in the answer: {a}' for a in said if len(re.findall(r'(?<![\w-])\d[\d.,]*', a)) > 2]
    code = '\n'.join(s for c, s in zip(cells, text) if c['cell_type'] == 'code')
    if 'Markdown(' in code: found.append('a cell puts sentences together: the library has functions that answer')
    return found


@pytest.mark.parametrize('name', PAGES)
def test_a_page_is_written_by_the_rules(name):
    "As it is stored."
    assert not complaints(page(name), name)


def changed(cells, at, text=None, cut=False):
    "The page with the first cell that matches changed, or all matches taken out of it."
    cells = copy.deepcopy(cells)
    cell = next(c for c in cells if re.search(at, source(c)))
    cell['source'] = re.sub(at, '', source(cell)) if cut else source(cell) + text
    return cells


def test_each_rule_can_fail():
    "A page with one fault at a time."
    name, good = PAGES[0], page(PAGES[0])
    faults = {'columns': changed(good, 'The question', '\n' + 'x '*61),
              'missing': changed(good, r'\d+ minutes', cut=True), 'Next': changed(good, 'Next: ', cut=True),
              '2 answers': changed(good, 'The question', '\n\n**The answer.** x'),
              'sentences': changed(good, 'profile = ', '\nMarkdown(1)'),
              'lines in a cell': changed(good, r'^import |^from ', '\nx = 1'*OPEN),
              'intervals in': changed(good, 'The question', '\n\nIt is' + ' +1.5 [+0.5, +2.5] points,'*3),
              'first picture': changed(good, 'profile = ', '\nx = 1'*LINES)}
    for words, cells in faults.items(): assert any(words in c for c in complaints(cells, name)), words
    three = {'cell_type': 'markdown', 'source': '**The answer.** 1, 2, 3.'}
    many = [c for c in good if 'The answer' not in shown(c)] + [three]
    assert any('numbers' in c for c in complaints(many, name))
