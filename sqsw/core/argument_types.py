"""Find arguments whose JSON value cannot be of the type that a function declares."""

from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

#: Declared types, and what JSON can have for them. Values for other types, such as classes of the
#: app, depend on the codec and on the function.
_FITTING: Mapping[object, tuple[type, ...]] = {
    NoneType: (NoneType,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
    list: (list,),
    tuple: (list,),
    set: (list,),
    frozenset: (list,),
    Sequence: (list, str),
    dict: (dict,),
    Mapping: (dict,),
}


class WrongType(NamedTuple):
    """An argument of a wrong type: its name, the declared type, and its value."""

    name: str
    declared: str
    value: object


def find_wrong_type(fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> WrongType | None:
    """Return the first argument whose value cannot be of the declared type.

    Lists and dictionaries are not looked into. A type that JSON does not have fits any value, and
    so does a type that cannot be resolved.
    """
    try:
        hints = get_type_hints(fn, include_extras=True)
    except Exception:  # noqa: BLE001  # annotations are code of the app, and can name anything
        return None
    for name, value in kwargs.items():
        if name in hints and not _fits(hints[name], value):
            return WrongType(name, _text_of(hints[name]), value)
    return None


def _fits(declared: Any, value: object) -> bool:
    origin = get_origin(declared)
    if origin is Annotated:
        return _fits(get_args(declared)[0], value)
    if origin in (Union, UnionType):
        return any(_fits(one, value) for one in get_args(declared))
    if origin is Literal:
        return any(type(one) is type(value) and one == value for one in get_args(declared))
    kinds = _FITTING.get(origin or declared)
    # The type itself: for Python a bool is an int.
    return kinds is None or type(value) in kinds


def _text_of(declared: Any) -> str:
    return declared.__name__ if isinstance(declared, type) else str(declared).replace("typing.", "")
