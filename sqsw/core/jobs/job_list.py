"""A list of jobs that one call runs, and which of them failed."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqsw.core.results import SUCCEEDED, FailedJobs, ProcessingResult


class JobList:
    """What one call is given, and what it says about it.

    A function names the jobs that failed: it returns them in a list, or raises (or returns)
    :class:`~sqsw.core.results.FailedJobs`. What else it returns means nothing, as ever.
    """

    def __init__(self, jobs: Sequence[object]) -> None:
        self.jobs = jobs
        self._returned: object = None

    def noting(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """The same call; what it returns is remembered, also if that is to be awaited."""

        def noted() -> Any:
            self._returned = call()
            if inspect.isawaitable(self._returned):
                return self._awaited(self._returned)
            return self._returned

        return noted

    async def _awaited(self, awaitable: Awaitable[object]) -> object:
        self._returned = None
        self._returned = await awaitable
        return self._returned

    def results(self, result: ProcessingResult) -> list[ProcessingResult]:
        """A result for each job, out of the one of the call."""
        named = self._named(self._returned if result.success else result.error)
        if named is None:
            return [result] * len(self.jobs)
        failed, places = named
        if None in places:
            wrong = ValueError(
                "it named failed jobs of which some are not in the list it was given"
            )
            wrong.__cause__ = failed
            return [ProcessingResult(False, error=wrong)] * len(self.jobs)
        failure = ProcessingResult(False, failed.backoff_policy, failed)
        return [failure if place in places else SUCCEEDED for place in range(len(self.jobs))]

    def own(self, value: object) -> object:
        """What names failed jobs, with the very jobs of this list; None where it names none."""
        named = self._named(value)
        if named is None:
            return None
        failed, places = named
        pairs = zip(failed.jobs, places, strict=True)
        own = [each if place is None else self.jobs[place] for each, place in pairs]
        return FailedJobs(own, failed.backoff_policy) if value is failed else own

    def _named(self, value: object) -> tuple[FailedJobs, list[int | None]] | None:
        """The failed jobs that this names, and where they stand in the list."""
        if isinstance(value, FailedJobs):
            return value, self._places(value.jobs)
        if isinstance(value, list | tuple):
            places = self._places(value)
            if any(place is not None for place in places):
                return FailedJobs(value), places
        return None

    def _places(self, named: Sequence[object]) -> list[int | None]:
        """Where these stand in the list: the very objects, else equal ones, each one once."""
        by_identity = {id(job): place for place, job in enumerate(self.jobs)}
        free = dict(enumerate(self.jobs))
        places: list[int | None] = []
        for each in named:
            place = by_identity.get(id(each))
            if place not in free:
                place = next((p for p, job in free.items() if _are_equal(job, each)), None)
            if place is not None:
                del free[place]
            places.append(place)
        return places


def _are_equal(job: object, named: object) -> bool:
    try:
        return bool(job == named)
    except Exception:  # noqa: BLE001  # an array says so: then it is none of the jobs
        return False
