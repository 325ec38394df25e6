"""``key=value`` is text: what to write where a function wants something else."""

import inspect
import json
import shlex
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from sqsw.core.errors import SettingsError
from sqsw_cli.output.printer import Printer
from sqsw_cli.sending.items import parse_json, split_item

#: what no text is, and how one of it is written
_EXAMPLES: dict[Any, str] = {
    int: "5",
    float: "0.5",
    bool: "true",
    list: '["a","b"]',
    dict: '{"a":1}',
    types.NoneType: "null",
}
#: characters of a text in a warning
_SHOWN = 32


def advise_on_texts(printer: Printer, fn: Callable[..., Any], items: Iterable[str]) -> None:
    """Say which of these items are sent as text though the function is annotated otherwise."""
    annotations = _annotations(fn)
    for item in items:
        key, sign, text = split_item(item)
        annotation = annotations.get(key, str)
        if ":" in sign or _takes_text(annotation):
            continue
        shown = json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "…", ensure_ascii=False)
        what = f"the text of {text}" if sign.endswith("@") else shown
        printer.advise(
            f"{key!r} is annotated {inspect.formatannotation(annotation)}, "
            f"and {what} is sent as text",
            why=f"{key}{sign} is text; {key}:{sign} is JSON: a number, true, null, a list …",
            next=f"write {_as_json(key, sign, text, annotation)}",
        )


def _annotations(fn: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        hints = get_type_hints(fn)
    except Exception:  # noqa: BLE001  # of users: what cannot be evaluated says nothing
        return {}
    hints.pop("return", None)
    return hints


def _takes_text(annotation: Any) -> bool:
    if _is_union(annotation):
        return any(map(_takes_text, get_args(annotation)))
    return (get_origin(annotation) or annotation) not in list(_EXAMPLES)


def _as_json(key: str, sign: str, text: str, annotation: Any) -> str:
    """The item as it is meant, as far as that can be told."""
    if sign.endswith("@"):
        return shlex.quote(f"{key}:{sign}{text}")
    try:
        if _is_one(parse_json(text, key), annotation):
            return shlex.quote(f"{key}:={text}")
    except SettingsError:
        pass  # it is none of its type either
    return f"{key}:=JSON, for example {shlex.quote(f'{key}:={_example(annotation)}')}"


def _is_one(value: Any, annotation: Any) -> bool:
    """Whether JSON is of the type that is wanted, as far as its outside tells."""
    if _is_union(annotation):
        return any(_is_one(value, one) for one in get_args(annotation))
    kind = get_origin(annotation) or annotation
    if isinstance(value, bool):  # which is an int to Python
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _example(annotation: Any) -> str:
    if _is_union(annotation):
        return _example(get_args(annotation)[0])
    kind = get_origin(annotation) or annotation
    if kind is list and (of := get_args(annotation)):
        return f"[{_example(of[0])}]"
    return next((text for one, text in _EXAMPLES.items() if one is kind), '"a"')


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)
