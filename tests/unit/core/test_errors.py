"""The error classes."""

import inspect
import pickle
import traceback

import pytest

import sqsw.exceptions
from sqsw.core import errors
from sqsw.core.errors import SettingsError, SQSBatchError, SQSError

ALL = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SQSError)
]


def test_the_docstring_shows_the_whole_tree() -> None:
    assert errors.__doc__ is not None
    drawn = {word for word in errors.__doc__.split() if word[0].isupper() and word.isidentifier()}
    assert {kind.__name__ for kind in ALL} <= drawn


def test_the_exceptions_module_has_all_errors() -> None:
    for kind in ALL:
        assert getattr(sqsw.exceptions, kind.__name__) is kind


def test_an_error_has_a_message_a_reason_and_a_next_step() -> None:
    error = SQSError("no queue", why="it was deleted", next="create it", code="X")
    assert str(error) == error.message == "no queue"
    assert (error.why, error.next, error.code) == ("it was deleted", "create it", "X")
    assert SQSError().why is None
    assert error.summary == "no queue: it was deleted"


def test_an_error_has_the_fields_of_its_class_and_no_others() -> None:
    error = SettingsError("x is 3", setting="x", value=3, bounds=(4, None))
    assert (error.setting, error.value, error.bounds, error.suggested) == ("x", 3, (4, None), None)
    with pytest.raises(TypeError, match="SettingsError has no field 'queue'"):
        SettingsError("x", queue="emails")  # type: ignore[call-arg]  # it has no such field


@pytest.mark.parametrize(
    "error",
    [
        SQSError("no queue", why="it was deleted", next="create it", code="X"),
        SQSBatchError("2 failed", [{"Id": "1", "_message": {"MessageBody": "x"}}], why="size"),
    ],
)
def test_an_error_can_be_pickled(error: SQSError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_a_traceback_shows_the_reason_and_the_next_step() -> None:
    error = SQSError("it broke", why="it was old", next="buy a new one")
    text = "".join(traceback.format_exception(error))
    assert "it broke\n  why:  it was old\n  next: buy a new one" in text
