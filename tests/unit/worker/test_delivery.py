"""A run gives one result per message, whatever its job raises."""

import asyncio
from collections.abc import Sequence

import pytest

from sqsw.core.jobs.job_key import JobKey
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.worker.delivery import Delivery, JobRun
from tests.unit.worker.doubles import lane, message


def run_of(handle: object, count: int = 1) -> JobRun:
    run = JobRun(lane(handle=handle), [], "thread")  # type: ignore[arg-type]  # wrong on purpose
    run.deliveries += [Delivery(message(), run, JobKey("send")) for _ in range(count)]
    return run


@pytest.mark.parametrize(
    "error", [ValueError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_any_exception_fails_every_message_of_the_run(error: BaseException) -> None:
    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        raise error

    run = run_of(handle, 2)
    for results in (run.run(), asyncio.run(run.run_async())):
        assert [(r.success, r.error) for r in results] == [(False, error)] * 2


@pytest.mark.parametrize("results", [[], [SUCCEEDED] * 3, None])
def test_a_wrong_number_of_results_fails_every_message(results: object) -> None:
    assert not any(result.success for result in run_of(lambda _: results, 2).run())
