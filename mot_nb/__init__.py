__version__ = "0.1.0"


def __getattr__(name):
    from .app.face import look_up
    return look_up(name)


def __dir__():
    from .app.face import NAMES
    return [*globals(), *NAMES]
