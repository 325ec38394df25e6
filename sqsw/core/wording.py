"""How durations, counts, errors and suggestions read, the same in every message.

Text from outside passes three functions before a person reads it: :func:`safe` escapes control
characters, :func:`shortened` bounds its length, and :func:`without_secrets` masks credentials.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traceback import TracebackException

#: names of units of time, and seconds
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))

#: Where it is sure that a URL begins and what ends it, its password may hold a quote or a space.
#: Like the patterns below it is compiled at its first use, because most processes never use it.
_USER_OF_URL = r"""(?x)
    ((?:\A|endpoint\ URL:\ \\?")(?:[\w+.-]+:)?//) [^/?#\n]+ @ | (?<=//) [^/?#\s"'<>]+ @"""

#: Characters that reorder or hide the text around them, or end a line: bidirectional controls,
#: zero-width marks and tags. The two joiners stay, because scripts and emoji need them.
#: Source: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
FORMATS = (
    *(0xAD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F)),
    *(*range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)),
)
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_ESCAPES |= {code: f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}" for code in FORMATS}
_ESCAPES |= {ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}

#: characters of the text of an error, and of a traceback, at most
TEXT_LENGTH, TRACEBACK_LENGTH = 2_000, 12_000

#: shorter credentials are examples or defaults, and can be ordinary words
_SECRET_LENGTH = 12
#: how many credentials are remembered: those in use, and those that they replaced
_SECRETS = 32
_secrets: dict[str, None] = {}

#: words next to a credential in texts of AWS and of the HTTP client
_CREDENTIAL = r"""(?ix)
    (authorization (?:\ header)? | x-amz-security-token | secret_?(?:access_?)?key
     | session_?token | access_?token | refresh_?token | client_?secret | ["']token | credential
     | signature)
    (\\?["']? \s* [:=>] \s* b?\\?["']?)
    ((?:[^"'\n<&}\\]|\\(?!["']))+)
    """
_HEADER = r"(?i)(invalid header (?:value|name) b?)(\\?['\"]).*\2"


def safe(text: str) -> str:
    """Return the text on one line, with its control characters escaped.

    Names, values and errors can come from anyone who can send a message. They must not move the
    cursor, start a line or a field of their own, or reorder the text around them.

    >>> print(safe("\\x1b]0;owned\\x07"))
    \\x1b]0;owned\\x07
    """
    if text.isprintable():
        return text
    # Half a surrogate pair, as from a file name that is not UTF-8, cannot be written.
    return text.encode("utf-8", "backslashreplace").decode("utf-8").translate(_ESCAPES)


def shortened(text: str, limit: int = TEXT_LENGTH) -> str:
    """Return at most ``limit`` characters of a text, and say how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit} characters left out)"


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
    """Return a number and its noun.

    >>> counted(20_000, "message")
    '20,000 messages'
    """
    return f"{number:,} {plural(number, noun)}"


def text_of(error: object) -> str:
    """Return ``str(error)``, shortened, or a placeholder if its ``__str__`` fails."""
    try:
        return shortened(str(error))
    except Exception:  # noqa: BLE001  # errors of jobs and apps can do anything here
        return "<its text cannot be read>"


def described(error: BaseException) -> str:
    return f"{type(error).__name__}: {text_of(error)}"


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error as Python prints it, with a bounded length.

    The text of every exception in it is shortened. So is the middle of a long traceback, such as
    one with deep recursion or many exceptions.
    """
    from traceback import TracebackException  # here: an application may never need it

    try:
        told = TracebackException(type(error), error, error.__traceback__, compact=True)
        _shorten_texts(told)
        text = "".join(told.format())
    except Exception:  # noqa: BLE001  # errors of jobs and apps can do anything here
        text = f"{described(error)}\n"
    left_out = len(text) - TRACEBACK_LENGTH
    if left_out > 0:
        head = TRACEBACK_LENGTH // 3
        text = f"{text[:head]}\n  … ({left_out} characters left out)\n{text[head + left_out :]}"
    return without_secrets(text)


def _shorten_texts(told: "TracebackException") -> None:
    waiting = [told]
    while waiting:
        part = waiting.pop()
        part._str = shortened(str(part._str))  # type: ignore[attr-defined]  # its text, since 3.5
        notes: object = part.__notes__
        if notes is not None:
            some = notes[:20] if isinstance(notes, list | tuple) else [notes]
            part.__notes__ = [text_of(note) for note in some]
        waiting += [one for one in (part.__cause__, part.__context__) if one is not None]
        waiting += part.exceptions or ()


def keep_secret(*values: str | None) -> None:
    """Mask these credentials in all texts that pass :func:`without_secrets` from now on."""
    for value in values:
        # Errors escape some characters (``\\n``), so the parts between them are masked too.
        for part in re.findall(r"[!-~]+", value or ""):
            if len(part) >= _SECRET_LENGTH:
                _secrets.pop(part, None)
                _secrets[part] = None
    while len(_secrets) > _SECRETS:
        del _secrets[next(iter(_secrets))]


def without_known_secrets(text: str) -> str:
    for secret in tuple(_secrets):
        text = text.replace(secret, "***")
    return text


def without_secrets(text: str) -> str:
    """Return a text with the credentials in use masked, and without passwords of URLs."""
    return without_password(without_known_secrets(text))


def without_credentials(text: str) -> str:
    """Return a text of AWS or of the HTTP client without anything that can be a credential."""
    text = re.sub(_HEADER, r"\1\2***\2", without_secrets(text))
    return re.sub(_CREDENTIAL, r"\1\2***", text)


def without_password(text: str) -> str:
    """A text without the user names and passwords of the URLs in it.

    >>> without_password("cannot connect to http://ann:secret@127.0.0.1:9324/")
    'cannot connect to http://127.0.0.1:9324/'
    """
    return re.sub(_USER_OF_URL, r"\1", text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; None where none is near."""
    from difflib import get_close_matches  # here: the start of an application has no use for it

    found = get_close_matches(word, list(known), n=1)
    return found[0] if found else None
