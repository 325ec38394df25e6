"""The few protocols on which two rooms agree."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from sqsw.core.batch_result import BatchProcessingResult
    from sqsw.core.message import Message


@runtime_checkable
class Backoff(Protocol):
    """Decides how long a failed message stays hidden."""

    def get_visibility_timeout(self, message: "Message") -> float:
        """Seconds until the message can be received again, 0 to 43200."""
        ...


class Batching(Protocol):
    """Decides how many messages a function takes at once."""

    @property
    def batching_enabled(self) -> bool:
        """True where the function takes a list."""
        ...

    @property
    def batch_size(self) -> int:
        """Messages in one call, at most."""
        ...


class ShutdownPolicy(Protocol):
    """Decides when a worker leaves by itself."""

    def update_state(self, batch_result: "BatchProcessingResult") -> None:
        """Take note of a batch; an empty one after a receive that brought nothing."""
        ...

    def need_shutdown(self) -> bool:
        """True once the worker is to leave."""
        ...


class Clock(Protocol):
    """Seconds; from which moment they count is the clock's own business."""

    def __call__(self) -> float: ...
