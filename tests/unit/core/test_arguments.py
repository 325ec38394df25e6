"""Arguments: bound when a call is sent, fitted to the function when it is run."""

import logging
from dataclasses import dataclass
from typing import Any

import pytest

from sqsw.core.arguments import (
    bind_arguments,
    call_handler,
    describe_mismatch,
    place_of,
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
    """A callable object that cannot be hashed."""

    greeting: str

    def __call__(self, name: str) -> str:
        return f"{self.greeting} {name}"


def test_positional_arguments_become_keywords_and_defaults_are_left_to_the_worker() -> None:
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


def test_a_job_cannot_carry_nameless_arguments() -> None:
    with pytest.raises(TypeError, match=r"takes \*names"):
        bind_arguments(many, ("ann",), {})


def test_what_the_worker_provides_is_not_the_sender_s_to_give() -> None:
    def hello(context: object, name: str) -> None: ...

    assert bind_arguments(hello, ("ann",), {}, provided=["context"]) == {"name": "ann"}
    with pytest.raises(TypeError, match="context"):
        bind_arguments(hello, ("ann",), {"context": {}}, provided=["context"])


def test_surplus_keywords_are_dropped_with_a_debug_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "sqsw"):
        assert validate_arguments(plain, {"to": "ann", "b": 1, "a": 2}) == {"to": "ann"}
    assert "a, b" in caplog.text
    assert validate_arguments(open_ended, {"to": "ann", "a": 2}) == {"to": "ann", "a": 2}


def test_missing_keywords_are_a_failure_that_names_them() -> None:
    with pytest.raises(TypeError, match=r"plain\(\) misses the argument\(s\) to$"):
        validate_arguments(plain, {"subject": "Hi"})
    with pytest.raises(TypeError, match=r" to; it does not take x, z, which came$"):
        validate_arguments(plain, {"z": 1, "x": 2})


def test_a_handler_is_called_with_what_it_takes() -> None:
    assert call_handler(plain, [], {"to": "ann", "x": 1}) == ("ann", "Hello", False)
    assert call_handler(by_position, [], {"to": "ann", "subject": "Hi"}) == ("ann", "Hi")
    assert call_handler(open_ended, [], {"to": "ann", "x": 1}) == ("ann", {"x": 1})
    assert call_handler(plain, ["ann"], {"urgent": True}) == ("ann", "Hello", True)


def test_a_callable_object_that_cannot_be_hashed_is_a_function_as_well() -> None:
    handler = Handler("Hello")
    assert bind_arguments(handler, ("ann",), {}) == {"name": "ann"}
    assert call_handler(handler, [], {"name": "ann", "x": 1}) == "Hello ann"


def test_a_mismatch_is_told_in_words() -> None:
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


def test_one_name_carries_one_value() -> None:
    def both(a: int, /, **rest: int) -> None: ...

    with pytest.raises(TypeError, match="'a' twice"):
        bind_arguments(both, (1,), {"a": 2})


def test_a_gap_among_the_positional_ones_is_filled_by_its_default() -> None:
    def gap(a: int = 1, b: int = 2, /) -> tuple[int, int]:
        return a, b

    assert call_handler(gap, [], {"b": 5}) == (1, 5)
