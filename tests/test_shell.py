"Completion in shells, and the settings' schema: true to the parser and to `load_settings`."
import json
import subprocess

import jsonschema
import pytest
import yaml

from mot_nb.core.errors import MotError
from mot_nb.core.files import data_folder
from mot_nb.core.schema import settings_schema
from mot_nb.core.settings import load_settings

PROFILES = sorted((data_folder()/'profiles').rglob('*.yaml'))
# a wrong value of each kind, and one that is right beside it
WRONG = [({'train': {'lr': 0}}, {'train': {'lr': 1e-6}}), ({'train': {'betas': [.9]}}, {'train': {'betas': [.9, .9]}}),
         ({'rounds': {'methods': ['mot', 'mot']}}, {'rounds': {'methods': 'mot'}}),
         ({'rounds': {'outer': {'momentum': 1}}}, {'rounds': {'outer': {'momentum': 0}}}),
         ({'seeds': []}, {'seeds': [3]}), ({'data': {'n_train': 0}}, {'data': {'n_train': 1}}),
         ({'student': {'name': ''}}, {'student': {'name': 'toy'}}), ({'eval': {'top_p': 1.5}}, {'eval': {'top_p': 1}}),
         ({'traning': {}}, {'train': {}}), ({'data': {'filtered': 'perhaps'}}, {'data': {'filtered': False}})]


@pytest.fixture(scope='module')
def schema(): return jsonschema.Draft202012Validator(settings_schema())


@pytest.mark.parametrize('file', PROFILES, ids=lambda f: f'{f.parent.name}/{f.stem}')
def test_profiles_are_valid(schema, file):
    assert not list(schema.iter_errors(yaml.safe_load(file.read_text(encoding='utf-8'))))


@pytest.mark.parametrize('wrong, right', WRONG, ids=lambda d: json.dumps(d)[:40])
def test_schema_and_library_refuse_the_same(schema, wrong, right):
    assert list(schema.iter_errors(wrong)) and not list(schema.iter_errors(right))
    load_settings(right)
    with pytest.raises(MotError): load_settings(wrong)


def completed(script, *words):
    "What bash offers after some words of a command line."
    line = (f'source {script}; COMP_WORDS=({" ".join(words)!s}); COMP_CWORD={len(words) - 1}; '
            '$(complete -p mot | sed "s/.*-F \\([^ ]*\\).*/\\1/") mot; echo "${COMPREPLY[@]}"')
    return subprocess.run(['bash', '-c', line], capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes(tmp_path):
    "Commands and options, as the parser has them; the scripts of all shells can be had."
    from mot_nb.app.shell import SHELLS, completion_script
    script = tmp_path/'mot'
    script.write_text(completion_script('bash'))
    assert completed(script, 'mot', 'comp') == ['completion'] and completed(script, 'mot', 'run', '--ou') == ['--out']
    assert all('answers' in completion_script(s) for s in SHELLS)
