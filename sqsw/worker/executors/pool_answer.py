"""How a call in a process of the pool ended, on its way back to the worker.

Objects of users travel, and may do anything to hinder that. What was raised arrives as an error
nevertheless, and so does a list of failed jobs that cannot travel; anything else that was returned
means nothing, and may be left behind.
"""

import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple, TypeVar

from sqsw.core.errors import SQSError
from sqsw.core.jobs.job_list import JobList
from sqsw.core.results import FailedJobs
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.user_frames import UserFrame, carry_user_frames, user_frames
from sqsw.core.wording import described, traceback_of

logger = SafeLogger(__name__)

Told = TypeVar("Told")


class PoolAnswer(NamedTuple):
    """What a call raised or returned.

    Attributes
    ----------
    was_raised :
        Whether it was raised.
    names_jobs :
        Whether it names failed jobs.
    data :
        It, pickled, with the jobs that the call was given as their places; empty where it refuses.
    instead :
        What to say, and why, where the data cannot be read.
    frames :
        Where in the user's code it was raised.
    """

    was_raised: bool
    names_jobs: bool
    data: bytes
    instead: tuple[str, str]
    frames: Sequence[UserFrame] = ()

    @classmethod
    def of_raised(cls, error: BaseException, jobs: Sequence[object]) -> "PoolAnswer":
        """In the process: the call raised this."""
        name = type(error).__name__
        text = _told(lambda: described(error), name)
        trace = _told(lambda: traceback_of(error), text)
        frames: Sequence[UserFrame] = _told(lambda: user_frames(error), ())
        names_jobs = isinstance(error, FailedJobs)
        data = _pickled(lambda: JobList(jobs).own(error) if names_jobs else error, jobs)
        return cls(True, names_jobs, data, (text, trace), frames)

    @classmethod
    def of_returned(cls, returned: object, jobs: Sequence[object]) -> "PoolAnswer":
        """In the process: the call returned this."""
        named = JobList(jobs).own(returned) if jobs else None
        data = _pickled(lambda: returned if named is None else named, jobs)
        instead = ("it named failed jobs", "what it returned cannot leave its process")
        return cls(False, named is not None, data, instead)

    def open(self, jobs: Sequence[object]) -> object:
        """In the worker: what was returned, with these jobs; None where it could not travel.

        Raises
        ------
        BaseException
            What the call raised.
        SQSError
            The same in words, where it could not travel.
        """
        try:
            value: Any = _read(self.data, jobs)
        except BaseException as unreadable:  # whatever it does to refuse it
            if self.was_raised or self.names_jobs:
                raise self._in_words() from (unreadable if self.data else None)
            logger.debug("what a job returned stays in its process", exc_info=True)
            return None
        if not self.was_raised:
            return value
        # Also what it says it is made of may be something else.
        is_error = isinstance(value, BaseException)
        if not is_error or isinstance(value, FailedJobs) is not self.names_jobs:
            raise self._in_words()
        carry_user_frames(value, self.frames)
        with suppress(Exception):  # not every error takes notes
            value.add_note(f"in a process of the pool:\n{self.instead[1]}")
        try:
            raise value
        finally:
            del value  # its traceback refers to this frame

    def _in_words(self) -> SQSError:
        text, why = self.instead
        error = SQSError(text, why=why)
        carry_user_frames(error, self.frames)
        return error


def _told(tell: Callable[[], Told], otherwise: Told) -> Told:
    try:
        return tell()
    except BaseException:  # noqa: BLE001  # of an object that fails to say what it is
        return otherwise


def _pickled(find: Callable[[], object], jobs: Sequence[object]) -> bytes:
    try:
        if not jobs:
            return pickle.dumps(find())
        file = BytesIO()
        _Pickler(file, jobs).dump(find())
        return file.getvalue()
    except BaseException:  # noqa: BLE001  # whatever it does to refuse it: the worker will tell
        return b""


def _read(data: bytes, jobs: Sequence[object]) -> object:
    # Of our own process.
    return _Unpickler(BytesIO(data), jobs).load() if jobs else pickle.loads(data)  # noqa: S301


class _Pickler(pickle.Pickler):
    """Writes jobs as their places: the worker has them, also where they cannot be pickled."""

    def __init__(self, file: BytesIO, jobs: Sequence[object]) -> None:
        super().__init__(file)
        self._places = {id(job): place for place, job in enumerate(jobs)}

    def persistent_id(self, value: object) -> int | None:
        return self._places.get(id(value))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO, jobs: Sequence[object]) -> None:
        super().__init__(file)
        self._jobs = jobs

    def persistent_load(self, place: Any) -> object:
        return self._jobs[place]
