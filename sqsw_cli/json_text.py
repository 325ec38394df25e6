"""JSON as text that every stream can carry."""

import json
from collections.abc import Callable
from typing import Any

from sqsw_cli.terminal import FORMATS

#: What JSON may hold as it is and a terminal would obey; C0 is escaped anyway.
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *FORMATS)}


def json_text(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """JSON in readable UTF-8.

    A lone surrogate (half of a character, in a file name that is no UTF-8, say) cannot be encoded;
    a value with one is written in ASCII escapes, which lose nothing.

    Raises
    ------
    ValueError
        A number is NaN or infinite, which no JSON can say.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=default)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, default=default)
    return text.translate(_CONTROLS)
