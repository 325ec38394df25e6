"""Shutdown policies: when a worker stops by itself.

A worker reports every batch to its policy (an empty one after a receive that returned nothing), and
asks whether to stop. One object, also a constant of this module, can serve many workers: each works
on a ``fresh()`` copy.
"""

import time

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Clock, ShutdownPolicy
from sqsw.core.reports import reason_of
from sqsw.core.settings import check_bounds


class _Policy:
    """The base of all policies. A policy needs only ``update_state`` and ``need_shutdown``."""

    @property
    def stopped_by(self) -> str:
        """The ``stopped_by`` in the report of a worker that this policy stopped."""
        return reason_of(None)

    def update_state(self, batch_result: BatchProcessingResult) -> None:
        """Note the result of a batch. It is empty after a receive that returned nothing."""

    def need_shutdown(self) -> bool:
        """Return whether the worker must stop."""
        raise NotImplementedError

    def fresh(self) -> ShutdownPolicy:
        """Return the same policy without what it has noted."""
        raise NotImplementedError

    def note_busy(self) -> None:
        """Note that a job is running, or that a receive returned messages."""

    def seconds_left(self) -> float | None:
        """Return in how many seconds it stops the worker if nothing arrives; None: never."""
        return 0.0 if self.need_shutdown() else None

    def jobs_left(self) -> int | None:
        """Return how many jobs can still start; None: no limit."""
        return None


class NeverShutdown(_Policy):
    """Work until a signal arrives."""

    def need_shutdown(self) -> bool:
        return False

    def fresh(self) -> ShutdownPolicy:
        return self

    def __repr__(self) -> str:
        return "NeverShutdown()"


class IdleShutdown(_Policy):
    """Stop after a time without work.

    The time begins when a receive last returned messages or a job last ran. The worker stops only
    after a receive that returned nothing.

    Parameters
    ----------
    idle_seconds : float
        Seconds, at least 0; 0 stops after the first empty receive while no job runs.
    clock :
        Returns seconds of a clock that only goes forward.

    Raises
    ------
    SettingsError
        ``idle_seconds`` is negative or NaN.
    """

    stopped_by = "until_idle"

    def __init__(self, idle_seconds: float, clock: Clock = time.monotonic) -> None:
        check_bounds("idle_seconds", idle_seconds, 0)
        self.idle_seconds = idle_seconds
        self._clock = clock
        self._since: float | None = None
        self._empty = False

    def update_state(self, batch_result: BatchProcessingResult) -> None:
        self._empty = not batch_result.total_count()
        if not self._empty or self._since is None:
            self._since = self._clock()

    def note_busy(self) -> None:
        self._empty = False
        self._since = self._clock()

    def need_shutdown(self) -> bool:
        return self._empty and self.seconds_left() <= 0

    def seconds_left(self) -> float:
        if self._since is None:
            return self.idle_seconds
        return max(0.0, self._since + self.idle_seconds - self._clock())

    def fresh(self) -> ShutdownPolicy:
        copy = IdleShutdown(self.idle_seconds, self._clock)
        copy._since = self._clock()
        return copy

    def __repr__(self) -> str:
        return f"IdleShutdown({self.idle_seconds!r})"


class MaxTasksShutdown(_Policy):
    """Stop after a number of jobs, no matter how they ended. The worker starts no more than these.

    Parameters
    ----------
    max_tasks : int
        Jobs, at least 1.

    Raises
    ------
    SettingsError
        ``max_tasks`` is less than 1.
    """

    stopped_by = "max_jobs"

    def __init__(self, max_tasks: int) -> None:
        check_bounds("max_tasks", max_tasks, 1)
        self.max_tasks = max_tasks
        self._count = 0

    def update_state(self, batch_result: BatchProcessingResult) -> None:
        self._count += batch_result.total_count()

    def need_shutdown(self) -> bool:
        return self._count >= self.max_tasks

    def jobs_left(self) -> int:
        return max(0, self.max_tasks - self._count)

    def fresh(self) -> ShutdownPolicy:
        return MaxTasksShutdown(self.max_tasks)

    def __repr__(self) -> str:
        return f"MaxTasksShutdown({self.max_tasks!r})"


class _Combined(_Policy):
    def __init__(self, *policies: ShutdownPolicy) -> None:
        self.policies = policies

    def update_state(self, batch_result: BatchProcessingResult) -> None:
        for policy in self.policies:
            policy.update_state(batch_result)

    def note_busy(self) -> None:
        for policy in self.policies:
            note_busy = getattr(policy, "note_busy", None)
            if note_busy is not None:
                note_busy()

    def fresh(self) -> ShutdownPolicy:
        fresh = [p.fresh() if hasattr(p, "fresh") else p for p in self.policies]
        return type(self)(*fresh)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.policies))})"


class OrShutdown(_Combined):
    """Stop as soon as one of several policies decides to stop."""

    @property
    def stopped_by(self) -> str:
        """The ``stopped_by`` of the first policy that decided to stop."""
        deciding = (policy for policy in self.policies if policy.need_shutdown())
        return reason_of(next(deciding, None))

    def need_shutdown(self) -> bool:
        return any(policy.need_shutdown() for policy in self.policies)

    def seconds_left(self) -> float | None:
        known = [s for s in map(_seconds_left, self.policies) if s is not None]
        return min(known, default=None)

    def jobs_left(self) -> int | None:
        known = [ask() for p in self.policies if (ask := getattr(p, "jobs_left", None))]
        return min((number for number in known if number is not None), default=None)


class AndShutdown(_Combined):
    """Stop once all of several policies decide to stop."""

    def need_shutdown(self) -> bool:
        return all(policy.need_shutdown() for policy in self.policies)

    def seconds_left(self) -> float | None:
        known = [s for s in map(_seconds_left, self.policies) if s is not None]
        return max(known, default=None) if len(known) == len(self.policies) else None


def _seconds_left(policy: ShutdownPolicy) -> float | None:
    """Return ``seconds_left()`` of a policy; for one without it, 0 if it stops now, else None."""
    ask = getattr(policy, "seconds_left", None)
    if ask is not None:
        seconds: float | None = ask()
        return seconds
    return 0.0 if policy.need_shutdown() else None


#: Work until a signal arrives.
NEVER_SHUTDOWN = NeverShutdown()

#: Stop as soon as the queue is empty and no job runs.
ASAP_SHUTDOWN = IdleShutdown(idle_seconds=0)
