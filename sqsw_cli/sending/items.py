"""Arguments of jobs on the command line: ``key=value``, ``key:=json``, or either from a file."""

import functools
import re
import shlex
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import SettingsError
from sqsw.core.files import open_input
from sqsw.core.json_depth import read_json

if TYPE_CHECKING:
    from json import JSONDecoder

_SPLIT = re.compile(r"(?<!\\)(:=@|=@|:=|=)")


def parse_item(text: str) -> tuple[str, Any]:
    r"""Return the key and value of ``key=value``, ``key:=json``, ``key=@file`` or ``key:=@file``.

    The first ``=`` or ``:=`` splits; ``\=`` in a key is a literal ``=``.
    """
    found = _SPLIT.search(text)
    if found is None or found.start() == 0:
        raise SettingsError(
            f"{text!r} is not an argument for a job",
            why="arguments are written key=value, key:=json, key=@file or key:=@file",
            next="write KEY=VALUE, without spaces around the =",
        )
    key, sign, value = text[: found.start()].replace(r"\=", "="), found[0], text[found.end() :]
    if sign.endswith("@"):
        value = read_text(value)
    if ":" not in sign:
        return key, value
    advice = f"to send it as text: {shlex.quote(f'{key}={value}')}"
    return key, parse_json(value, f"the value of {key!r}", None if "@" in sign else advice)


def parse_json(text: str, what: str, advice: str | None = None) -> Any:
    """Parse strict JSON: NaN and Infinity are errors, because other parsers reject them."""
    try:
        return read_json(text, _decoder().decode)
    except ValueError as error:
        raise SettingsError(f"{what} is not JSON", why=str(error), next=advice) from error


def read_text(path: str) -> str:
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
