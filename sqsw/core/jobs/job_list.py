"""A list of jobs for one call, and which of them failed."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqsw.core.results import SUCCEEDED, FailedJobs, ProcessingResult


class JobList:
    """The jobs of one call, and what the call returned.

    A function names the jobs that failed: it returns a list of them, or raises or returns
    :class:`~sqsw.core.results.FailedJobs`. Any other returned value has no meaning.
    """

    def __init__(self, jobs: Sequence[object]) -> None:
        self.jobs = jobs
        self._returned: object = None

    def noting(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """Return a call that also remembers what it returns, or what its awaitable returns."""

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
        """Return one result per job, from the result of the call."""
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
        """Return a value that names failed jobs, with the objects of this list in their place.

        None if it names no jobs of the list.
        """
        named = self._named(value)
        if named is None:
            return None
        failed, places = named
        pairs = zip(failed.jobs, places, strict=True)
        own = [each if place is None else self.jobs[place] for each, place in pairs]
        return FailedJobs(own, failed.backoff_policy) if value is failed else own

    def _named(self, value: object) -> tuple[FailedJobs, list[int | None]] | None:
        """Return the failed jobs that a value names, and their places; None if it names none."""
        if isinstance(value, FailedJobs):
            return value, self._places(value.jobs)
        if isinstance(value, list | tuple):
            places = self._places(value)
            if any(place is not None for place in places):
                return FailedJobs(value), places
        return None

    def _places(self, named: Sequence[object]) -> list[int | None]:
        """Return the places of these jobs: of the same object or else an equal one, each once."""
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
    except Exception:  # noqa: BLE001  # arrays raise here, so this one is not among the jobs
        return False
