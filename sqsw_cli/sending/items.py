"""Arguments of jobs as they are typed: ``key=value``, ``key:=json``, and files of either."""

import functools
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import SettingsError
from sqsw.core.files import open_input
from sqsw.core.json_depth import read_json

if TYPE_CHECKING:
    from json import JSONDecoder

_SPLIT = re.compile(r"(?<!\\)(:=@|=@|:=|=)")


def parse_item(text: str, following: Sequence[str] = ()) -> tuple[str, Any]:
    r"""``key=value``, ``key:=json``, ``key=@file`` or ``key:=@file``.

    The first ``=`` or ``:=`` splits; ``\=`` in a key is a literal ``=``.

    Parameters
    ----------
    following :
        The words behind it, for the error: a space may stand where none belongs.

    Raises
    ------
    SettingsError
        The text is none of these, its JSON is broken, or the file cannot be read.
    """
    key, sign, value = split_item(text, following)
    as_text = f"{key}={value}"
    if sign.endswith("@"):
        value, as_text = read_text(value), f"{key}=@{value}"
    if ":" not in sign:
        return key, value
    advice = f"if it is meant as text: {shlex.quote(as_text)}"
    return key, parse_json(value, f"the value of {key!r}", advice)


def split_item(text: str, following: Sequence[str] = ()) -> tuple[str, str, str]:
    """An item as its key, its sign and what stands behind it.

    Raises
    ------
    SettingsError
        It is none.
    """
    found = _SPLIT.search(text)
    if found is None or found.start() == 0:
        raise SettingsError(
            f"{text!r} is not an argument for a job",
            why="arguments are written key=value, key:=json, key=@file or key:=@file",
            next=f"write {_joined(text, following)}",
        )
    return text[: found.start()].replace(r"\=", "="), found.group(), text[found.end() :]


def _joined(text: str, following: Sequence[str]) -> str:
    """The item that a word may be the beginning of; a word alone is a key, or a value."""
    first, *second = *following, ""
    if first in ("=", ":=") or (first.startswith(("=", ":=")) and text):
        return shlex.quote("".join((text, first, *second[:1] * (first in ("=", ":=")))))
    if text.endswith(":") and text[:-1]:
        return shlex.quote(f"{text[:-1]}={first or 'VALUE'}")
    return f"KEY{shlex.quote(text)}" if text.startswith("=") else f"KEY={shlex.quote(text)}"


def parse_json(text: str, what: str, advice: str | None = None) -> Any:
    """Strict JSON: neither NaN nor Infinity, which SQS would carry and others could not read.

    Raises
    ------
    SettingsError
        It is not JSON.
    """
    try:
        return read_json(text, _decoder().decode)
    except ValueError as error:
        raise SettingsError(f"{what} is not JSON", why=str(error), next=advice) from error


def read_text(path: str) -> str:
    """The contents of a UTF-8 file.

    Raises
    ------
    SettingsError
        It cannot be read.
    """
    try:
        with open_input(path) as file:
            return file.read().decode()
    except OSError as error:
        raise SettingsError(f"cannot read {path}", why=error.strerror) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8", why=str(error)) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@functools.cache
def _decoder() -> "JSONDecoder":
    from json import JSONDecoder

    return JSONDecoder(parse_constant=_refuse_constant)
