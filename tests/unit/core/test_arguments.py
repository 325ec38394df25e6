"""Arguments are bound when a job is sent, and fitted to the function when it runs."""

import functools
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sqsw.core.arguments import (
    bind_arguments,
    call_handler,
    describe_mismatch,
    place_of,
    signature_of,
    validate_arguments,
)


def plain(to: str, subject: str = "Hello", *, urgent: bool = False) -> tuple[Any, ...]:
    return to, subject, urgent


def open_ended(to: str, **more: Any) -> tuple[Any, ...]:
    return to, more


def by_position(to: str, /, subject: str = "Hello") -> tuple[Any, ...]:
    return to, subject


def many(*names: str) -> tuple[str, ...]:
    return names


@dataclass
class Handler:
    """A callable object that is not hashable."""

    greeting: str

    def __call__(self, name: str) -> str:
        return f"{self.greeting} {name}"


def test_positional_arguments_become_keywords_and_defaults_are_not_sent() -> None:
    assert bind_arguments(plain, ("ann",), {}) == {"to": "ann"}
    assert bind_arguments(plain, ("ann", "Hi"), {"urgent": True}) == {
        "to": "ann",
        "subject": "Hi",
        "urgent": True,
    }
    assert bind_arguments(open_ended, ("ann",), {"a": 1}) == {"to": "ann", "a": 1}
    assert bind_arguments(by_position, ("ann",), {}) == {"to": "ann"}


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((), {}, "to"),
        (("ann", "Hi", True), {}, "too many"),
        (("ann",), {"to": "bob"}, "multiple values"),
        (("ann",), {"body": "x"}, "body"),
    ],
)
def test_a_wrong_call_fails_in_the_sender(
    args: tuple[Any, ...], kwargs: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TypeError, match=reason):
        bind_arguments(plain, args, kwargs)


def test_a_job_cannot_have_variadic_positional_arguments() -> None:
    with pytest.raises(TypeError, match=r"takes \*names"):
        bind_arguments(many, ("ann",), {})


def test_the_sender_cannot_give_what_the_worker_provides() -> None:
    def hello(context: object, name: str) -> None: ...

    assert bind_arguments(hello, ("ann",), {}, provided=["context"]) == {"name": "ann"}
    with pytest.raises(TypeError, match="context"):
        bind_arguments(hello, ("ann",), {"context": {}}, provided=["context"])


def test_unexpected_keywords_are_dropped_with_a_debug_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "sqsw"):
        assert validate_arguments(plain, {"to": "ann", "b": 1, "a": 2}) == {"to": "ann"}
    assert "a, b" in caplog.text
    assert validate_arguments(open_ended, {"to": "ann", "a": 2}) == {"to": "ann", "a": 2}


def test_missing_keywords_raise_an_error_that_names_them() -> None:
    with pytest.raises(TypeError, match=r"plain\(\) misses the argument\(s\) to$"):
        validate_arguments(plain, {"subject": "Hi"})
    with pytest.raises(TypeError, match=r" to; it does not take x, z, which came$"):
        validate_arguments(plain, {"z": 1, "x": 2})


def test_a_handler_is_called_with_the_arguments_that_it_takes() -> None:
    assert call_handler(plain, [], {"to": "ann", "x": 1}) == ("ann", "Hello", False)
    assert call_handler(by_position, [], {"to": "ann", "subject": "Hi"}) == ("ann", "Hi")
    assert call_handler(open_ended, [], {"to": "ann", "x": 1}) == ("ann", {"x": 1})
    assert call_handler(plain, ["ann"], {"urgent": True}) == ("ann", "Hello", True)


def test_a_callable_object_that_is_not_hashable_works_too() -> None:
    handler = Handler("Hello")
    assert bind_arguments(handler, ("ann",), {}) == {"name": "ann"}
    assert call_handler(handler, [], {"name": "ann", "x": 1}) == "Hello ann"


def test_a_mismatch_is_described() -> None:
    assert describe_mismatch(plain, {"to": "ann"}) is None
    assert describe_mismatch(open_ended, {"to": "ann", "x": 1}) is None
    told = describe_mismatch(plain, {"subject": "Hi", "body": "x"})
    assert told is not None
    assert told.startswith("missing 'to'; unexpected 'body'; signature (to")
    told = describe_mismatch(plain, {"to": "ann"}, provided=["subject"])
    assert told is None


def test_the_place_of_a_function_is_its_module_and_name() -> None:
    assert place_of(plain) == f"{__name__}.plain"
    assert place_of(len) == "builtins.len"


def test_one_argument_cannot_have_two_values() -> None:
    def both(a: int, /, **rest: int) -> None: ...

    with pytest.raises(TypeError, match="'a' twice"):
        bind_arguments(both, (1,), {"a": 2})


def test_a_gap_in_positional_arguments_is_filled_by_the_default() -> None:
    def gap(a: int = 1, b: int = 2, /) -> tuple[int, int]:
        return a, b

    assert call_handler(gap, [], {"b": 5}) == (1, 5)


def injecting(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Inject a database, as a dependency-injection framework does, without setting a signature."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, db="the database", **kwargs)

    return wrapper


def saying_so(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Inject a database, and set the signature."""
    wrapper: Any = injecting(fn)
    signature = inspect.signature(fn)
    kept = [p for p in signature.parameters.values() if p.name != "db"]
    wrapper.__signature__ = signature.replace(parameters=kept)
    return wrapper  # type: ignore[no-any-return]  # its signature is set above


def needs_database(to: str, db: str) -> tuple[str, str]:
    return to, db


def with_own_parameters(to: str) -> Any:
    return needs_database(to, db="the database")


def with_more_parameters(*args: Any, tenant: str, **kwargs: Any) -> Any:
    return tenant, needs_database(*args, **kwargs)


def with_more_positions(tenant: str, *args: Any, **kwargs: Any) -> Any:
    return tenant, needs_database(*args, **kwargs)


def with_defaults(tenant: str = "x", **kwargs: Any) -> Any:
    return tenant, needs_database(**kwargs)


class Service:
    @saying_so
    def send(self, to: str, db: str) -> tuple[str, str]:
        return to, db


@pytest.mark.parametrize(
    ("fn", "takes"),
    [
        (injecting(needs_database), "(to, db)"),
        (saying_so(needs_database), "(to)"),
        (functools.partial(saying_so(needs_database)), "(to)"),
        (Service().send, "(to)"),
        (functools.update_wrapper(with_own_parameters, needs_database), "(to)"),
        (functools.update_wrapper(with_more_parameters, needs_database), "(to, db, *, tenant)"),
        (functools.update_wrapper(with_more_positions, needs_database), "(tenant, to, db)"),
        (functools.update_wrapper(with_defaults, needs_database), "(tenant='x', *, to, db)"),
        (functools.lru_cache(saying_so(needs_database)), "(to)"),
    ],
)
def test_a_wrapper_takes_the_arguments_of_its_signature(fn: Callable[..., Any], takes: str) -> None:
    signature = signature_of(fn)
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    assert str(signature.replace(parameters=plain, return_annotation=signature.empty)) == takes


def test_a_call_that_fits_the_wrapper_is_sent_and_runs() -> None:
    fn = saying_so(needs_database)
    job_kwargs = bind_arguments(fn, ["ann"], {})
    assert call_handler(fn, (), {**job_kwargs, "surplus": 1}) == ("ann", "the database")
    with pytest.raises(TypeError, match="missing a required argument: 'db'"):
        bind_arguments(injecting(needs_database), ["ann"], {})


def test_without_a_check_positional_only_parameters_are_passed_by_position() -> None:
    def by_position(to: str, cc: str = "nobody", /, db: str = "") -> tuple[str, str, str]:
        return to, cc, db

    fn = injecting(by_position)
    job_kwargs = bind_arguments(fn, ["ann"], {}, check=False)
    assert call_handler(fn, (), job_kwargs, check=False) == ("ann", "nobody", "the database")


def test_without_a_check_keywords_stay_unchanged_and_positions_get_names() -> None:
    fn = injecting(needs_database)
    assert bind_arguments(fn, ["ann"], {"more": 1}, check=False) == {"to": "ann", "more": 1}
    with pytest.raises(TypeError, match="'to' twice"):
        bind_arguments(fn, ["ann"], {"to": "ben"}, check=False)
    with pytest.raises(TypeError, match="too many positional"):
        bind_arguments(fn, ["ann", 1, 2], {}, check=False)
