"The card of data/recorded: what each file holds, how it was made, and which page shows it; written by `make docs`."
import json, re
from pathlib import Path

from project import ROOT, cells, notebooks

HEAD = """# Recorded results
<!-- Written by `make docs` from the files and notebooks: do not edit it. -->

What took minutes to hours was measured once and lies here, a file a subject and name. The first line of a file says how
it was made (kind, hash of its rows, commit, command, environment, settings; what was not noted then is `null`), the
rest are its rows. `mot_nb.core.records` reads and writes them, and refuses a file whose rows were changed. Commands
name scripts and files where they lie today; at a file's commit they may have lain elsewhere.

| file | kind | rows | KB | commit | shown on |
|---|---|---:|---:|---|---|
"""


def card_path(root=ROOT):
    "Where the card lies."
    return root/'data'/'recorded'/'README.md'


def readers(root):
    "[(notebook's path, pattern of the names it reads)] over all notebooks but the one of records itself."
    for path in notebooks(root):
        if path.stem.endswith('_records'): continue
        source = '\n'.join(s for kind, s in cells(path) if kind == 'code')
        for name in re.findall(r"\brecorded\(f?'([^']+)'\)", source):
            yield path, re.sub(r'\\\{.*?\\\}', '[^/]+', re.escape(name))
        for subject in re.findall(r"\brecorded_names\('([^']+)'\)", source): yield path, re.escape(subject) + '/.+'


def shown_on(name, found, root):
    "Links to the notebooks that read a file, pages first."
    order = lambda p: (p.parent.name not in ('paper', 'reports', 'nbs'), p)
    paths = sorted({p for p, pattern in found if re.fullmatch(pattern, name)}, key=order)
    return ', '.join(f'[{p.stem}](../../{p.relative_to(root).as_posix()})' for p in paths) or '–'


def row(path, found, root):
    "(line of the table, line of the list of commands) of one file."
    head, *rows = path.read_text(encoding='utf-8').splitlines()
    head, name = json.loads(head), path.relative_to(card_path(root).parent).with_suffix('').as_posix()
    shown, size = shown_on(name, found, root), round(path.stat().st_size/1000)
    line = f"| [{name}]({name}.jsonl) | {head['kind']} | {len(rows)} | {size} | {head['commit'] or '–'} | {shown} |\n"
    return line, f"- {name}: " + (f"`{head['command']}`" if head['command'] else 'not noted') + '\n'


def card(root=ROOT):
    "The text of data/recorded/README.md."
    files, found = sorted(card_path(root).parent.rglob('*.jsonl')), list(readers(root))
    lines, commands = zip(*(row(p, found, root) for p in files))
    return HEAD + ''.join(lines) + '\n## Commands\n' + ''.join(commands)


if __name__ == '__main__': print(card(Path(ROOT)))
