"""Which jobs of a list failed, as named by the function that took the list."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sqsw.core.jobs.job_list import JobList
from sqsw.core.results import SUCCEEDED, FailedJobs, ProcessingResult

JOBS = [{"n": 1}, {"n": 2}, {"n": 2}, {"n": 4}]


def after(function: Callable[[Any], Any]) -> list[bool]:
    """Return which jobs succeeded after this function returned."""
    jobs = JobList(JOBS)
    jobs.noting(lambda: function(jobs.jobs))()
    return [result.success for result in jobs.results(SUCCEEDED)]


def raised(error: BaseException) -> list[ProcessingResult]:
    return JobList(JOBS).results(ProcessingResult(False, error=error))


def test_returned_jobs_failed() -> None:
    assert after(lambda jobs: [jobs[0], jobs[3]]) == [False, True, True, False]


def test_identity_counts_before_equality() -> None:
    assert after(lambda jobs: [jobs[2]]) == [True, True, False, True]


def test_each_copy_counts_once() -> None:
    assert after(lambda _: [{"n": 2}, {"n": 2}]) == [True, False, False, True]


@pytest.mark.parametrize("returned", [None, True, [], (), [None, "x"], "text", {"n": 1}, 5])
def test_other_return_values_name_no_jobs(returned: Any) -> None:
    assert all(after(lambda _: returned))


class Array:
    """Compares like a numpy array: the result has no truth value."""

    __hash__ = None  # type: ignore[assignment]  # like an array

    def __eq__(self, other: object) -> "Array":  # type: ignore[override]  # like an array
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


def test_arrays_name_no_jobs() -> None:
    assert all(after(lambda jobs: [Array() for _ in jobs]))


def test_a_list_fails_as_a_whole_if_unknown_jobs_are_named() -> None:
    assert not any(after(lambda jobs: [jobs[0], {"n": 99}]))


def test_a_coroutine_can_name_failed_jobs() -> None:
    async def function() -> Any:
        await asyncio.sleep(0)
        return [JOBS[1]]

    async def run() -> None:
        await jobs.noting(function)()

    jobs = JobList(JOBS)
    asyncio.run(run())
    assert [result.success for result in jobs.results(SUCCEEDED)] == [True, False, True, True]


def test_jobs_named_by_an_exception_failed_with_its_backoff() -> None:
    class Later:
        def get_visibility_timeout(self, message: object) -> float:
            return 5

    policy = Later()
    error = FailedJobs([JOBS[0]], policy)
    first, *others = raised(error)
    assert (first.success, first.error, first.backoff_policy) == (False, error, policy)
    assert all(result.success for result in others)


def test_an_exception_that_names_unknown_jobs_fails_the_list() -> None:
    results = raised(FailedJobs(["stranger"]))
    assert not any(result.success for result in results)
    assert "not in the list" in str(results[0].error)


def test_any_other_exception_fails_the_list_whatever_was_returned() -> None:
    failure = ProcessingResult(False, error=ValueError())  # from a middleware, for example
    retry = ProcessingResult(False)
    for returned in ([JOBS[0]], FailedJobs([JOBS[0]])):
        jobs = JobList(JOBS)
        jobs.noting(lambda returned=returned: returned)()  # type: ignore[misc]  # bound to the loop variable
        assert jobs.results(failure) == [failure] * 4
        assert jobs.results(retry) == [retry] * 4
