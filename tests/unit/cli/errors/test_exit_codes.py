"""The table from error classes to exit codes."""

import pytest

from sqsw.core import errors
from sqsw_cli.errors.exit_codes import exit_code_of
from sqsw_cli.errors.failures import failure_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingsError("x"), 2),
        (errors.MessageRefused("x"), 2),
        (errors.QueueNotFound("x"), 3),
        (errors.TaskNotFound("x"), 3),
        (errors.AccessDenied("x"), 4),
        (errors.SQSBatchError("x", []), 5),
        (errors.Busy("x"), 6),
        (errors.AppLoadError("x"), 7),
        (errors.ScheduleNotFound("x"), 3),
        (errors.TaskAlreadyRegistered("x"), 7),
        (errors.ConnectionFailed("x"), 1),
        (errors.RedriveError("x"), 1),
        (errors.SQSError("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_each_class_has_its_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_a_failure_keeps_its_three_parts_and_its_code_name() -> None:
    failure = failure_of(errors.QueueNotFound("no queue", why="because", next="create it"))
    assert (failure.message, failure.why, failure.next) == ("no queue", "because", "create it")
    assert (failure.code, failure.exit_code) == ("queue_not_found", 3)
