"""The answer of a pool process: what a function returned or raised.

It can be any object of the app, also one that cannot be pickled. Then an exception, or a list of
failed jobs, arrives as an ``SQSError`` with the same text. Any other returned value has no meaning
and is dropped.
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
    """What a function raised or returned.

    Attributes
    ----------
    was_raised :
        Whether it was raised.
    names_jobs :
        Whether it names failed jobs.
    data :
        The pickled object, in which the jobs of the call are replaced by their places in the list;
        empty if the object cannot be pickled.
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
        """Return the answer for a function that raised an error. Called in the pool process."""
        name = type(error).__name__
        text = _told(lambda: described(error), name)
        trace = _told(lambda: traceback_of(error), text)
        frames: Sequence[UserFrame] = _told(lambda: user_frames(error), ())
        names_jobs = isinstance(error, FailedJobs)
        data = _pickled(lambda: JobList(jobs).own(error) if names_jobs else error, jobs)
        return cls(True, names_jobs, data, (text, trace), frames)

    @classmethod
    def of_returned(cls, returned: object, jobs: Sequence[object]) -> "PoolAnswer":
        """Return the answer for a function that returned a value. Called in the pool process."""
        named = JobList(jobs).own(returned) if jobs else None
        data = _pickled(lambda: returned if named is None else named, jobs)
        instead = ("it named failed jobs", "what it returned cannot leave its process")
        return cls(False, named is not None, data, instead)

    def open(self, jobs: Sequence[object]) -> object:
        """Return what the function returned, or raise what it raised. Called in the worker.

        Parameters
        ----------
        jobs :
            The jobs of the call, in their order.

        Returns
        -------
        object
            The value; None if it could not be pickled or read.

        Raises
        ------
        BaseException
            What the function raised.
        SQSError
            The text of that, if it could not be pickled or read.
        """
        try:
            value: Any = _read(self.data, jobs)
        except BaseException as unreadable:  # an object of the app can raise anything here
            if self.was_raised or self.names_jobs:
                raise self._in_words() from (unreadable if self.data else None)
            logger.debug("what a job returned stays in its process", exc_info=True)
            return None
        if not self.was_raised:
            return value
        # Pickled data can build an object of another class.
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
    except BaseException:  # noqa: BLE001  # after any error: the worker reports it
        return b""


def _read(data: bytes, jobs: Sequence[object]) -> object:
    # From our own process.
    return _Unpickler(BytesIO(data), jobs).load() if jobs else pickle.loads(data)  # noqa: S301


class _Pickler(pickle.Pickler):
    """Pickles jobs as their places in the list, because the worker has the jobs themselves."""

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
