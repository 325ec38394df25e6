"""Limits at which a worker process is replaced."""

from collections.abc import Callable
from dataclasses import dataclass

from sqsw.core.errors import SettingsError
from sqsw.core.events import Pulse

#: A process is replaced at 80 to 100 % of its limits, so not all are replaced at once.
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class RecyclePolicy:
    """Limits of a worker process. The first one that is reached counts; None means no limit.

    Attributes
    ----------
    jobs :
        The number of ended jobs.
    memory_bytes :
        The memory of the process, without its pool processes.
    age_seconds :
        The age of the process.

    Raises
    ------
    SettingsError
        No limit is set, or one is not above zero.
    """

    jobs: int | None = None
    memory_bytes: int | None = None
    age_seconds: float | None = None

    def __post_init__(self) -> None:
        limits = [x for x in (self.jobs, self.memory_bytes, self.age_seconds) if x is not None]
        if not limits or min(limits) <= 0:
            raise SettingsError(
                "a recycle policy requires a limit above zero",
                next="set jobs, memory_bytes or age_seconds",
            )

    def with_jitter(self, chance: Callable[[], float]) -> "RecyclePolicy":
        """Return slightly lower limits for one process. The memory limit stays the same."""
        part = 1 - _JITTER * chance()
        return RecyclePolicy(
            None if self.jobs is None else max(1, round(self.jobs * part)),
            self.memory_bytes,
            None if self.age_seconds is None else self.age_seconds * part,
        )

    def reason(self, pulse: Pulse, age_seconds: float) -> str | None:
        """Return why a process with this pulse and age must be replaced, or None."""
        if self.jobs is not None and pulse.ended >= self.jobs:
            return f"{pulse.ended} jobs"
        if self.memory_bytes is not None and pulse.memory_bytes >= self.memory_bytes:
            return f"{pulse.memory_bytes} bytes of memory"
        if self.age_seconds is not None and age_seconds >= self.age_seconds:
            return f"{age_seconds:.0f} seconds old"
        return None
