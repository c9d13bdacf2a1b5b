"Builds the package from settings.ini, the one source of settings; data/ travels in the wheel as mot_nb._data."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).resolve().parent
cfg = ConfigParser(interpolation=None)
cfg.read(here/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']
readme = here/'README.md'

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'],
    license='Apache-2.0', author=cfg['author'], author_email=cfg['author_email'],
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Science/Research', 'Intended Audience :: Education',
                 'Framework :: Jupyter', 'Operating System :: POSIX', *(f'Programming Language :: Python :: 3.{v}' for v in (11, 12, 13))],
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '', long_description_content_type='text/markdown',
    python_requires='>=' + cfg['min_python'], zip_safe=False,
    install_requires=cfg['requirements'].split(), extras_require={'dev': cfg['dev_requirements'].split()},
    packages=[*find_packages(str(here), include=['mot_nb', 'mot_nb.*']), 'mot_nb._data'], package_dir={'mot_nb': 'mot_nb', 'mot_nb._data': 'data'},
    package_data={'mot_nb._data': ['**/*']}, include_package_data=False,
    entry_points={'console_scripts': cfg['console_scripts'].split()},
)
