"""JSON as text that every stream can carry."""

import json
from collections.abc import Callable
from typing import Any

from sqsw.core.wording import FORMATS

#: Control characters that a terminal obeys and JSON does not escape (it escapes only C0).
_ESCAPES = {code: json.dumps(chr(code))[1:-1] for code in (*range(0x80, 0xA0), *FORMATS)}
_ESCAPES[0x7F] = "\\u007f"  # DEL, which json.dumps does not escape


def json_text(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return JSON in readable UTF-8, with escapes for characters that a terminal would obey.

    A lone surrogate (half of a character, for example in a file name that is not UTF-8) cannot be
    encoded. A value that contains one is written with ASCII escapes, which lose nothing.

    Raises
    ------
    ValueError
        A number is NaN or infinite, which JSON cannot express.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=default)
    if text.isprintable():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, allow_nan=False, default=default)
    return text.translate(_ESCAPES)
