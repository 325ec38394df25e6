"""Protocols that several packages of sqsw share."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from sqsw.core.batch_result import BatchProcessingResult
    from sqsw.core.message import Message


@runtime_checkable
class Backoff(Protocol):
    """Decides how long a failed message stays hidden."""

    def get_visibility_timeout(self, message: "Message") -> float:
        """Return the seconds until the job is tried again, 0 to 31622400 (366 days)."""
        ...


class Batching(Protocol):
    """Decides how many messages a function takes at once."""

    @property
    def batching_enabled(self) -> bool:
        """Whether the function takes a list."""
        ...

    @property
    def batch_size(self) -> int:
        """The most messages in one call."""
        ...


class ShutdownPolicy(Protocol):
    """Decides when a worker stops by itself."""

    def update_state(self, batch_result: "BatchProcessingResult") -> None:
        """Note the result of a batch. It is empty after a receive that returned nothing."""
        ...

    def need_shutdown(self) -> bool:
        """Return whether the worker must stop."""
        ...


class Companion(Protocol):
    """Work that a worker does next to its jobs, in a thread of its own.

    Attributes
    ----------
    name :
        The name in log lines about its start.
    """

    @property
    def name(self) -> str: ...

    def check(self) -> None:
        """Make the SQS calls that the start needs. The worker repeats this until SQS answers.

        Raises
        ------
        QueueNotFound, AccessDenied, SettingsError
            The worker cannot start.
        """
        ...

    def start(self) -> None:
        """Start the thread."""
        ...

    def close(self) -> None:
        """Start nothing new, because the worker drains."""
        ...

    def stop(self, deadline: float) -> None:
        """Return by a time of ``sqsw.core.lease_clock``, even if a call of the thread hangs."""
        ...


class Clock(Protocol):
    """Returns seconds since some moment."""

    def __call__(self) -> float: ...


class WallClock(Protocol):
    """Returns seconds since 1970."""

    def __call__(self) -> float: ...
