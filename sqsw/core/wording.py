"""How durations, counts, errors and suggestions read, the same in every message."""

import re
from collections.abc import Iterable

#: names of units of time, and seconds
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))

#: Where it is sure that a URL begins and what ends it, its password may hold a quote or a space.
_USER_OF_URL = re.compile(
    r"""((?:\A|endpoint\ URL:\ \\?")(?:[\w+.-]+:)?//) [^/?#\n]+ @ | (?<=//) [^/?#\s"'<>]+ @""", re.X
)


def format_duration(seconds: float) -> str:
    """Seconds as people write them, and as the options read them.

    >>> format_duration(5400)
    '1h30m'
    """
    rest = round(seconds)
    parts = []
    for unit, size in UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def plural(number: int, noun: str) -> str:
    """The noun as it stands behind this number.

    >>> plural(1, "message"), plural(0, "message")
    ('message', 'messages')
    """
    return noun if number == 1 else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """A number and its noun, for logs and pipes: without separators."""
    return f"{number} {plural(number, noun)}"


def text_of(error: BaseException) -> str:
    """``str(error)``, also of an error that cannot say it: those of jobs and apps are not ours."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # whatever it is, the error itself is what counts
        return "<it cannot tell its text>"


def described(error: BaseException) -> str:
    """The type of an error and its text."""
    return f"{type(error).__name__}: {text_of(error)}"


def without_password(text: str) -> str:
    """A text without the user names and passwords of the URLs in it.

    >>> without_password("cannot connect to http://ann:secret@127.0.0.1:9324/")
    'cannot connect to http://127.0.0.1:9324/'
    """
    return _USER_OF_URL.sub(r"\1", text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; None where none is near."""
    from difflib import get_close_matches  # here: the start of an application has no use for it

    found = get_close_matches(word, list(known), n=1)
    return found[0] if found else None
