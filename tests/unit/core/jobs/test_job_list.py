"""Which jobs of a list failed, as the function that took the list names them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sqsw.core.jobs.job_list import JobList
from sqsw.core.results import SUCCEEDED, FailedJobs, ProcessingResult

JOBS = [{"n": 1}, {"n": 2}, {"n": 2}, {"n": 4}]


def after(function: Callable[[Any], Any]) -> list[bool]:
    """Which succeeded after a function that returned."""
    jobs = JobList(JOBS)
    jobs.noting(lambda: function(jobs.jobs))()
    return [result.success for result in jobs.results(SUCCEEDED)]


def raised(error: BaseException) -> list[ProcessingResult]:
    return JobList(JOBS).results(ProcessingResult(False, error=error))


def test_those_that_are_returned_failed() -> None:
    assert after(lambda jobs: [jobs[0], jobs[3]]) == [False, True, True, False]


def test_the_very_object_counts_and_not_an_equal_one() -> None:
    assert after(lambda jobs: [jobs[2]]) == [True, True, False, True]


def test_copies_count_as_well_each_one_once() -> None:
    assert after(lambda _: [{"n": 2}, {"n": 2}]) == [True, False, False, True]


@pytest.mark.parametrize("returned", [None, True, [], (), [None, "x"], "text", {"n": 1}, 5])
def test_other_values_mean_nothing(returned: Any) -> None:
    assert all(after(lambda _: returned))


class Array:
    """Compares as arrays do: to something that is neither true nor false."""

    __hash__ = None  # type: ignore[assignment]  # as arrays have it

    def __eq__(self, other: object) -> "Array":  # type: ignore[override]  # as arrays do
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


def test_arrays_name_no_jobs() -> None:
    assert all(after(lambda jobs: [Array() for _ in jobs]))


def test_a_list_that_names_strangers_too_fails_as_a_whole() -> None:
    assert not any(after(lambda jobs: [jobs[0], {"n": 99}]))


def test_a_coroutine_names_them_at_its_end() -> None:
    async def function() -> Any:
        await asyncio.sleep(0)
        return [JOBS[1]]

    async def run() -> None:
        await jobs.noting(function)()

    jobs = JobList(JOBS)
    asyncio.run(run())
    assert [result.success for result in jobs.results(SUCCEEDED)] == [True, False, True, True]


def test_those_that_are_raised_failed_with_their_backoff() -> None:
    class Later:
        def get_visibility_timeout(self, message: object) -> float:
            return 5

    policy = Later()
    error = FailedJobs([JOBS[0]], policy)
    first, *others = raised(error)
    assert (first.success, first.error, first.backoff_policy) == (False, error, policy)
    assert all(result.success for result in others)


def test_an_error_that_names_strangers_fails_the_list() -> None:
    results = raised(FailedJobs(["stranger"]))
    assert not any(result.success for result in results)
    assert "not in the list" in str(results[0].error)


def test_any_other_error_fails_the_list_whatever_was_returned() -> None:
    failure = ProcessingResult(False, error=ValueError())  # of a middleware, say
    retry = ProcessingResult(False)
    for returned in ([JOBS[0]], FailedJobs([JOBS[0]])):
        jobs = JobList(JOBS)
        jobs.noting(lambda returned=returned: returned)()  # type: ignore[misc]  # of the loop
        assert jobs.results(failure) == [failure] * 4
        assert jobs.results(retry) == [retry] * 4
