"""The output of ``sqsw work --reload`` on a terminal."""

import pytest

from sqsw.core.errors import AppLoadError, QueueNotFound
from sqsw.core.events import WorkerFailed
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.work import QueueChoice
from sqsw_cli.working.reload import ReloadLog, loaded_if_sound


def test_an_error_of_the_app_is_one_block(capfd: pytest.CaptureFixture[str]) -> None:
    error = AppLoadError("cannot import 'a'", why="SyntaxError: here", next="-vv shows more")
    ReloadLog(Invocation(), None)(WorkerFailed(1, error))
    assert capfd.readouterr().err == (
        "error: cannot import 'a'\n"
        "  why:  SyntaxError: here\n"
        "  next: fix the app; the worker restarts at the next change\n"
    )


def test_another_error_keeps_its_advice(capfd: pytest.CaptureFixture[str]) -> None:
    env = SQSEnv(MemorySession())
    ReloadLog(Invocation(), env)(WorkerFailed(1, QueueNotFound("no queue", queue="jobs")))
    assert "  next: create it: sqsw create-queue jobs\n" in capfd.readouterr().err


def test_the_app_is_shown_only_if_it_can_be_loaded() -> None:
    env = SQSEnv(MemorySession())

    def broken() -> SQSEnv:
        raise AppLoadError("cannot import 'a'")

    choose = QueueChoice([], {}, None)
    assert loaded_if_sound(lambda: env, choose) is None  # it has no jobs yet
    assert loaded_if_sound(broken, choose) is None
    env.processor("jobs", "note")(lambda: None)
    loaded = loaded_if_sound(lambda: env, choose)
    assert loaded is not None
    assert [share.queue_name for share in loaded[1]] == ["jobs"]
