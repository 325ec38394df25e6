"""How often Python looks for garbage.

A command makes many objects while it starts and hardly any garbage: to look for it as often as
usual takes a fifth of the time that a worker takes to start.
"""

import gc

_USUAL = gc.get_threshold()
_RARE = 100_000


def rarely() -> None:
    """Call this before the start."""
    gc.set_threshold(_RARE)


def no_more() -> None:
    """Call this at the end, where Python searches all objects several times."""
    gc.freeze()


def as_usual() -> None:
    """Call this before the first job: what the start has made stays, and is not searched again."""
    gc.freeze()
    if gc.get_threshold()[0] == _RARE:  # or the app has set its own
        gc.set_threshold(*_USUAL)
