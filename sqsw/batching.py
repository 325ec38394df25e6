"""One job at a time, or as a list."""

from dataclasses import dataclass

from sqsw.core.contracts import Batching
from sqsw.core.errors import SettingsError

#: The protocol of a batching policy.
BatchingConfiguration = Batching


@dataclass(frozen=True, slots=True)
class NoBatching:
    """The function is called for each job."""

    @property
    def batching_enabled(self) -> bool:
        """False."""
        return False

    @property
    def batch_size(self) -> int:
        """1."""
        return 1


@dataclass(frozen=True, slots=True)
class BatchMessages:
    """The function is called with one list of the keyword dictionaries of several jobs.

    The list succeeds or fails as a whole.

    Parameters
    ----------
    batch_size :
        Jobs in one list, at most; above ten they are gathered from several receives.
    """

    batch_size: int

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise SettingsError(f"batch_size is {self.batch_size}, it must be 1 at least")

    @property
    def batching_enabled(self) -> bool:
        """True."""
        return True
