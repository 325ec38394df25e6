"""How often Python looks for garbage.

A command makes many objects while it starts and hardly any garbage: to look for it as often as
usual takes a tenth of the time that ``send`` takes.
"""

import gc

_USUAL = gc.get_threshold()


def rarely() -> None:
    """For code of our own."""
    gc.set_threshold(20_000)


def as_usual() -> None:
    """For code of others."""
    gc.set_threshold(*_USUAL)
