"""Reads JSON from other programs, with a limit on its nesting.

Python's own limit depends on the stack, so a value that can be read in one place cannot always be
written in another.
"""

from collections.abc import Callable
from typing import Any

#: the most levels of lists and objects inside each other
MAX_NESTING = 100


def read_json(text: str, decode: Callable[[str], Any] | None = None) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    decode :
        Decodes the text; None for :func:`json.loads`.

    Raises
    ------
    ValueError
        It is not JSON, or it is nested deeper than ``MAX_NESTING``.
    """
    from json import loads  # here: the start of a command has no use for it

    try:
        value = (decode or loads)(text)
    except RecursionError:
        raise _too_deep() from None
    if is_too_deep(text, value):
        raise _too_deep()
    return value


def is_too_deep(text: str, value: Any) -> bool:
    """Return whether ``value``, read from ``text``, is nested deeper than ``MAX_NESTING``."""
    if text.count("[") + text.count("{") <= MAX_NESTING:
        return False
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_NESTING):
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return bool(level)


def _too_deep() -> ValueError:
    return ValueError(f"nested deeper than {MAX_NESTING} levels")
