"""Set how often Python collects garbage.

A command creates many objects while it starts, but hardly any garbage. At the usual rate, garbage
collection would take a fifth of the time in which a worker starts.
"""

import gc

_USUAL = gc.get_threshold()
_RARE = 100_000


def rarely() -> None:
    """Collect garbage rarely; call this before the start."""
    gc.set_threshold(_RARE)


def no_more() -> None:
    """Skip existing objects from now on; call this at the end, when Python collects repeatedly."""
    gc.freeze()


def as_usual() -> None:
    """Collect as usual, but skip the objects of the start; call this before the first job."""
    gc.freeze()
    if gc.get_threshold()[0] == _RARE:  # otherwise the app has set its own
        gc.set_threshold(*_USUAL)
