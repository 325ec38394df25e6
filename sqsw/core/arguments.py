"""Binds the arguments of a job when it is sent, and fits them to its function when it runs."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import nearest

logger = SafeLogger(__name__)

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _signature(fn: Any) -> inspect.Signature:
    if isinstance(fn, staticmethod):  # it looks like a wrapper, but has no signature of its own
        return _signature(fn.__func__)
    if inspect.ismethod(fn):
        signature = _signature(fn.__func__)
        first, *others = signature.parameters.values()
        takes_more = first.kind is inspect.Parameter.VAR_POSITIONAL
        return signature if takes_more else signature.replace(parameters=others)
    wrapped = getattr(fn, "__wrapped__", None)
    if wrapped is None or getattr(fn, "__signature__", None) is not None:
        return inspect.signature(fn)
    try:
        own = inspect.signature(fn, follow_wrapped=False)
    except ValueError:  # written in C, as functools.lru_cache is: it passes everything on
        return _signature(wrapped)
    return _merged(own, _signature(wrapped))


def _merged(wrapper: inspect.Signature, wrapped: inspect.Signature) -> inspect.Signature:
    """Return a wrapper's parameters, plus those of the function if it passes ``**kwargs`` on."""
    own = list(wrapper.parameters.values())
    named = [p for p in own if p.kind not in _VARIADIC]
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in own):
        return wrapper
    if not named:
        return wrapped
    others = [p for p in wrapped.parameters.values() if p.name not in wrapper.parameters]
    # Positional parameters of the function can only follow those of the wrapper.
    if len(own) < len(named) + 2 or any(p.default is not p.empty for p in named):
        others = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY) if p.kind in _POSITIONAL else p
            for p in others
            if p.kind is not inspect.Parameter.VAR_POSITIONAL
        ]
    return wrapped.replace(parameters=sorted([*named, *others], key=lambda p: p.kind))


# Cached: reading a signature takes longer than everything else around a job.
_kept_signature = lru_cache(maxsize=4096)(_signature)


def signature_of(fn: Callable[..., Any]) -> inspect.Signature:
    """Return how a function can be called.

    A wrapper's ``__signature__`` counts, if it has one. Otherwise its own parameters count, and
    those of the wrapped function only if the wrapper passes ``**kwargs`` on.
    """
    try:
        return _kept_signature(fn)
    except TypeError:  # a callable object that cannot be hashed, a dataclass for example
        return _signature(fn)


class _Shape(NamedTuple):
    """The parameters of a function, in the form that each job needs."""

    names: frozenset[str]
    required: frozenset[str]
    by_position: tuple[tuple[str, Any], ...]
    takes_all: bool


def _shape(fn: Callable[..., Any]) -> _Shape:
    parameters = signature_of(fn).parameters.values()
    return _Shape(
        names=frozenset(p.name for p in parameters),
        required=frozenset(
            p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC
        ),
        by_position=tuple((p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_ONLY),
        takes_all=any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


_kept_shape = lru_cache(maxsize=4096)(_shape)


def _shape_of(fn: Callable[..., Any]) -> _Shape:
    try:
        return _kept_shape(fn)
    except TypeError:  # as above
        return _shape(fn)


def bind_arguments(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    job_name: str | None = None,
    provided: Collection[str] = (),
    also_taken: Collection[str] = (),
    check: bool = True,
) -> dict[str, Any]:
    """Return the arguments of ``fn(*args, **kwargs)`` as keywords, for a message.

    Parameters
    ----------
    job_name :
        The job name for errors; None for the name of the function.
    provided :
        Parameters that the worker provides (the job context). The caller must not pass them.
    also_taken :
        Further keywords to suggest for a misspelled one, besides those of the function.
    check :
        False: keywords are not checked against the function; only ``args`` get their names.

    Raises
    ------
    TypeError
        The function cannot be called like this, or takes ``*args``, which a job cannot carry.
    """
    signature = signature_of(fn)
    if provided:
        kept = [p for name, p in signature.parameters.items() if name not in provided]
        signature = signature.replace(parameters=kept)
    try:
        bound = signature.bind(*args, **kwargs) if check else signature.bind_partial(*args)
    except TypeError as error:
        what = f"{_name(fn)}()" if job_name is None else f"the job {job_name!r}"
        reason = _surplus(signature, kwargs, also_taken) or str(error)
        raise TypeError(f"{what}: {reason}; it takes {signature}") from None
    job_kwargs: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            raise TypeError(
                f"{_name(fn)}() takes *{name}; a job carries keyword arguments only, "
                "so give the parameter a name"
            )
        if kind is inspect.Parameter.VAR_KEYWORD:
            _add_keywords(fn, job_kwargs, value)
        else:
            job_kwargs[name] = value
    if not check:
        _add_keywords(fn, job_kwargs, kwargs)
    return job_kwargs


def _add_keywords(
    fn: Callable[..., Any], job_kwargs: dict[str, Any], keywords: Mapping[str, Any]
) -> None:
    twice = sorted(set(keywords) & set(job_kwargs))
    if twice:
        raise TypeError(
            f"{_name(fn)}() gets {twice[0]!r} twice, by position and by keyword: a job "
            "carries one value for each name"
        )
    job_kwargs.update(keywords)


def _surplus(
    signature: inspect.Signature, kwargs: Mapping[str, Any], also_taken: Collection[str]
) -> str | None:
    """Describe the first keyword that the function does not take, with a similar name."""
    parameters = signature.parameters
    surplus = [name for name in kwargs if name not in parameters]
    if not surplus or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    meant = nearest(surplus[0], [*(set(parameters) - set(kwargs)), *also_taken])
    return f"unexpected argument {surplus[0]!r}" + (f" (did you mean {meant!r}?)" if meant else "")


def validate_arguments(fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return those keywords of a message that ``fn`` takes.

    Surplus keywords are dropped, so senders and workers can be deployed in either order.

    Raises
    ------
    TypeError
        A required argument is missing.
    """
    return _taken(fn, _shape_of(fn), kwargs)


def _taken(fn: Callable[..., Any], shape: _Shape, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if shape.takes_all or kwargs.keys() <= shape.names:
        taken = dict(kwargs)
    else:
        taken = {name: value for name, value in kwargs.items() if name in shape.names}
        logger.debug("%s() does not take %s: dropped", _name(fn), _dropped(kwargs, taken))
    if not shape.required <= taken.keys():
        missing = [n for n in signature_of(fn).parameters if n in shape.required - taken.keys()]
        dropped = _dropped(kwargs, taken)
        raise TypeError(
            f"{_name(fn)}() misses the argument(s) {', '.join(missing)}"
            + (f"; it does not take {dropped}, which came" if dropped else "")
        )
    return taken


def _dropped(kwargs: Mapping[str, Any], taken: Mapping[str, Any]) -> str:
    return ", ".join(sorted(set(kwargs) - set(taken)))


def call_handler(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, check: bool = True
) -> Any:
    """Call ``fn`` with those of ``kwargs`` that it takes, and return its result or coroutine.

    Parameters
    ----------
    check :
        False: pass all of ``kwargs``, and do not check for missing arguments.

    Raises
    ------
    TypeError
        A required argument is missing.
    """
    if args:
        return fn(*args, **kwargs)
    shape = _shape_of(fn)
    taken = _taken(fn, shape, kwargs) if check else dict(kwargs)
    if not shape.by_position:
        return fn(**taken)
    values = [
        taken.pop(name, default) for name, default in shape.by_position if check or name in taken
    ]
    return fn(*values, **taken)


def describe_mismatch(
    fn: Callable[..., Any], kwargs: Mapping[str, Any], *, provided: Collection[str] = ()
) -> str | None:
    """Describe how these keywords do not fit ``fn``; None if they fit.

    Unlike :func:`validate_arguments`, this also reports surplus keywords, because the sender is
    there to correct them.
    """
    signature = signature_of(fn)
    parameters = {n: p for n, p in signature.parameters.items() if n not in provided}
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    missing = [
        name
        for name, p in parameters.items()
        if name not in kwargs
        and p.default is inspect.Parameter.empty
        and p.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
    ]
    surplus = [] if takes_all else [name for name in kwargs if name not in parameters]
    if not missing and not surplus:
        return None
    parts = []
    if missing:
        parts.append("missing " + ", ".join(map(repr, missing)))
    if surplus:
        parts.append("unexpected " + ", ".join(map(repr, surplus)))
    parts.append(f"signature {signature.replace(parameters=list(parameters.values()))}")
    return "; ".join(parts)


def check_function(fn: Callable[..., Any], reserved: Collection[str] = ()) -> None:
    """Raise if a function can never run as a job.

    Raises
    ------
    TypeError
        It is not callable, is a generator function (calling one runs nothing), or has a parameter
        with a reserved name.
    """
    if isinstance(fn, classmethod):
        raise TypeError(
            f"{_name(fn.__func__)}() is decorated inside its class, where a classmethod cannot be "
            "called yet: register it after the class, as in processor('name')(Class.method)"
        )
    if not callable(fn):
        raise TypeError(f"a job must be a function, not a {type(fn).__name__}")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"{_name(fn)}() is a generator function: calling it runs nothing, so no job would be "
            "done; collect what it yields inside the function"
        )
    taken = sorted(set(reserved) & set(signature_of(fn).parameters)) if reserved else []
    if taken:
        raise TypeError(
            f"{_name(fn)}() has a parameter {taken[0]!r}, which is about the message and never "
            "reaches a job: give it another name"
        )


def place_of(fn: Callable[..., Any]) -> str:
    return f"{getattr(fn, '__module__', '?')}.{_name(fn)}"


def _name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__qualname__", repr(fn))
