"""Convert arguments without a JSON form, and restore them by the function's annotations.

The body stays plain JSON, so programs in other languages can send and read it. msgspec converts the
values. It is imported at the first job, because few programs need it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.util import find_spec
from inspect import Parameter
from typing import Any, get_type_hints

from sqsw.core.arguments import signature_of
from sqsw.core.errors import DecodeError, MessageRefused, SettingsError

_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class TypedArguments:
    """A converter between the arguments of one function and JSON values.

    It supports ``datetime``, ``date``, ``time``, ``timedelta``, ``UUID``, ``Decimal``, ``bytes``,
    enums, sets, tuples, ``TypedDict`` and ``NamedTuple`` types, dataclasses, attrs classes,
    pydantic models, and lists and dictionaries of these.

    Parameters
    ----------
    fn :
        The function, whose annotations are evaluated at the first job.

    Raises
    ------
    SettingsError
        msgspec is not installed.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        if find_spec("msgspec") is None:
            raise SettingsError(
                "typed arguments require the package msgspec",
                why="it is not installed",
                next="pip install 'sqsw[typed]'",
            )
        self._fn = fn

    def to_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as JSON values.

        Raises
        ------
        MessageRefused
            A value has no JSON form, or the function would not get an equal value. The error names
            the argument.
        TypeError
            An annotation cannot be evaluated.
        """
        return {name: self._to_json(name, value) for name, value in arguments.items()}

    def from_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with their annotated types; those without annotation stay the same.

        Raises
        ------
        DecodeError
            A value does not fit its annotation. The error names the argument.
        TypeError
            An annotation cannot be evaluated.
        """
        restored = dict(arguments)
        for name in arguments.keys() & self._annotations.keys():
            try:
                restored[name] = self._restore(name, arguments[name])
            except Exception as error:
                raise DecodeError(
                    f"the argument {name!r} does not fit its annotation",
                    why=f"{self._shown(name)}: {error}",
                    next="fix the sender, or change the annotation",
                ) from error
        return restored

    def _to_json(self, name: str, value: Any) -> Any:
        from msgspec import to_builtins

        try:
            plain = to_builtins(value, str_keys=True, enc_hook=_dump_model)
        except Exception as error:
            raise MessageRefused(
                f"the argument {name!r} cannot be sent",
                why=str(error),
                next="send an identifier instead, such as an ID",
            ) from error
        try:
            restored = self._restore(name, plain) if name in self._annotations else plain
        except Exception as error:
            raise MessageRefused(
                f"the argument {name!r} does not fit its annotation",
                why=f"{self._shown(name)}: {error}",
                next="send a value of that type, or change the annotation",
            ) from error
        if not _is_same(value, restored):
            here, there = type(value).__name__, type(restored).__name__
            raise MessageRefused(
                f"the argument {name!r} would not arrive unchanged",
                why=f"it is a {here}, but the function would get "
                + (f"a {there}" if here != there else "one that is not equal to it"),
                next=f"annotate the parameter, as in {name}: {here}"
                if name not in self._annotations
                else f"send a value that {self._shown(name)} describes, or change the annotation",
            )
        return plain

    def _restore(self, name: str, value: Any) -> Any:
        from msgspec import convert

        return convert(value, self._annotations[name], str_keys=True, dec_hook=_load_model)

    def _shown(self, name: str) -> str:
        annotation = self._annotations[name]
        return annotation.__name__ if isinstance(annotation, type) else str(annotation)

    @cached_property
    def _annotations(self) -> dict[str, Any]:
        hints: dict[str, Any] = {}
        for layer in reversed(_layers(self._fn)):
            try:
                hints |= get_type_hints(layer, include_extras=True)
            except Exception as error:
                raise TypeError(
                    f"the annotations of {layer.__qualname__}() cannot be evaluated: {error}; typed"
                    " arguments need them at run time, so import such names outside of"
                    " 'if TYPE_CHECKING'"
                ) from error
        parameters = signature_of(self._fn).parameters.items()
        return {n: hints[n] for n, p in parameters if n in hints and p.kind not in _VARIADIC}


def _layers(fn: Any) -> list[Any]:
    """Return a function and the functions that it wraps, outermost first."""
    layers = []
    while fn is not None:
        if isinstance(fn, partial | staticmethod):
            fn = fn.func if isinstance(fn, partial) else fn.__func__
            continue
        has_code = hasattr(fn, "__code__") or hasattr(fn, "__func__")
        layers.append(fn if has_code else type(fn).__call__)
        fn = getattr(fn, "__wrapped__", None)
    return layers


def _is_same(sent: Any, arrived: Any) -> bool:
    if sent == arrived:
        return True
    if type(sent) is not type(arrived):
        return False
    if isinstance(sent, datetime):
        # A local time in the repeated hour at the end of daylight saving time never equals a time
        # in another zone.
        zones = (sent.tzinfo, arrived.tzinfo)
        return None not in zones and sent.astimezone(UTC) == arrived.astimezone(UTC)
    if isinstance(sent, dict):
        return sent.keys() == arrived.keys() and all(_is_same(sent[k], arrived[k]) for k in sent)
    if isinstance(sent, list | tuple):
        return len(sent) == len(arrived) and all(map(_is_same, sent, arrived))
    # A dataclass or model can contain such a datetime, or not define a comparison by value.
    return hasattr(sent, "__dict__") and _is_same(vars(sent), vars(arrived))


# msgspec does not support pydantic, whose models convert themselves.
def _dump_model(value: Any) -> Any:
    if not hasattr(value, "model_dump"):
        raise TypeError(f"a {type(value).__name__} has no JSON form")
    return value.model_dump(mode="json", by_alias=True)


def _load_model(kind: Any, value: Any) -> Any:
    if not hasattr(kind, "model_validate_json"):
        raise TypeError(f"a {kind.__name__} cannot be created from JSON")
    try:
        # model_validate() would fail for a strict model, which accepts datetimes as text only in
        # JSON.
        return kind.model_validate_json(json.dumps(value))
    except ValueError as error:
        errors = getattr(error, "errors", None)
        if errors is None:
            raise
        # str(error) would quote the values.
        found = [(".".join(map(str, each["loc"])), each["msg"]) for each in errors()]
        texts = [f"{where}: {what}" if where else what for where, what in found]
        raise ValueError("; ".join(texts)) from None
