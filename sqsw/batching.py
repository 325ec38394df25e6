"""One job at a time, or as a list."""

from dataclasses import dataclass
from typing import ClassVar

from sqsw.core.contracts import Batching
from sqsw.core.settings import check_bounds

#: seconds: for longer times a queue with a delay is the better place to wait
_MOST_WAIT_SECONDS = 300

#: The protocol of a batching policy.
BatchingConfiguration = Batching


@dataclass(frozen=True, slots=True)
class NoBatching:
    """The function is called for each job."""

    batching_enabled: ClassVar[bool] = False
    batch_size: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class BatchMessages:
    """The function is called with one list of the keyword dictionaries of several jobs.

    The list succeeds or fails as a whole, unless the function names those that failed: it returns
    them as a list, or raises ``FailedJobs(them)``. The others are deleted then.

    Parameters
    ----------
    batch_size :
        Jobs in one list, at most; above ten they are gathered from several receives.
    max_wait :
        Seconds that the first job of a list waits for others, 0 to 300; it is less where the list
        is full before. On a FIFO queue nothing waits, since no more of a group can come. In
        ``process_batch`` nothing waits either.

    Raises
    ------
    SettingsError
        A number is out of its range.
    """

    batching_enabled: ClassVar[bool] = True
    batch_size: int
    max_wait: float = 0.0

    def __post_init__(self) -> None:
        check_bounds("batch_size", self.batch_size, 1)
        check_bounds("max_wait", self.max_wait, 0, _MOST_WAIT_SECONDS)
