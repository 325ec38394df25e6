"""JSON that others wrote: a limit to its nesting.

Python's own limit is that of the stack: what can be read in one place cannot be written in another.
"""

from collections.abc import Callable
from typing import Any

#: lists and objects inside each other, at most
MAX_NESTING = 100


def read_json(text: str, decode: Callable[[str], Any] | None = None) -> Any:
    """What a JSON text says.

    Parameters
    ----------
    decode :
        Reads it: that of a decoder with settings of its own; default :func:`json.loads`.

    Raises
    ------
    ValueError
        It is no JSON, or nested deeper than ``MAX_NESTING``.
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
    """Whether ``value``, as it was read from ``text``, is nested deeper than ``MAX_NESTING``."""
    if text.count("[") + text.count("{") <= MAX_NESTING:
        return False
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_NESTING):
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return bool(level)


def _too_deep() -> ValueError:
    return ValueError(f"nested deeper than {MAX_NESTING} levels")
