"""How long a failed message stays hidden before it is tried again.

SQS hides a message for twelve hours at most. For longer waits, the environment needs a parking
place, and the queue must be a standard queue; otherwise the message stays hidden for twelve hours.
"""

import copy
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sqsw.core.contracts import Backoff
from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_PARKED_SECONDS, MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.message import Message
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.core.settings import check_bounds

#: The protocol of a backoff policy: ``get_visibility_timeout(message)`` in seconds.
BackoffPolicy = Backoff


@dataclass(frozen=True, slots=True)
class ConstantBackoff:
    """Always the same time.

    Parameters
    ----------
    backoff_value :
        Seconds, 0 to 31622400 (366 days).
    """

    backoff_value: float = 0.0

    def __post_init__(self) -> None:
        check_bounds("backoff_value", self.backoff_value, 0, MAX_PARKED_SECONDS)

    def get_visibility_timeout(self, message: Message) -> float:
        """Seconds until the message can be received again."""
        return self.backoff_value


@dataclass(frozen=True, init=False)
class ExponentialBackoff:
    """Longer after every receive: ``min + multiplier * base ** (receive_count - 1)``.

    A normal jitter of 10 % keeps messages that failed together from coming back together.

    Parameters
    ----------
    base :
        The factor from one receive to the next.
    min_visibility_timeout, max_visibility_timeout :
        Seconds: the result is kept between them, 0 to 31622400 (366 days).
    multiplier :
        Seconds after the first receive.
    max_visbility_timeout :
        The spelling of sqs-workers, for ``max_visibility_timeout``.
    """

    base: float
    min_visibility_timeout: float
    max_visibility_timeout: float
    multiplier: float
    _random: random.Random = field(repr=False, compare=False)

    def __init__(
        self,
        base: float = 2.0,
        min_visibility_timeout: float = 0.0,
        max_visibility_timeout: float = 1800.0,
        multiplier: float = 1.0,
        *,
        max_visbility_timeout: float | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        if max_visbility_timeout is not None:
            max_visibility_timeout = max_visbility_timeout
        check_bounds("min_visibility_timeout", min_visibility_timeout, 0, MAX_PARKED_SECONDS)
        check_bounds("max_visibility_timeout", max_visibility_timeout, 0, MAX_PARKED_SECONDS)
        for name, value in (
            ("base", base),
            ("min_visibility_timeout", min_visibility_timeout),
            ("max_visibility_timeout", max_visibility_timeout),
            ("multiplier", multiplier),
            ("_random", random_source or random.Random()),
        ):
            object.__setattr__(self, name, value)

    def get_visibility_timeout(self, message: Message) -> float:
        """Seconds until the message can be received again."""
        try:
            grown = self.multiplier * self.base ** (message.receive_count - 1)
        except OverflowError:
            return self.max_visibility_timeout
        seconds = self.min_visibility_timeout + grown * self._random.gauss(1.0, 0.1)
        return min(max(seconds, self.min_visibility_timeout), self.max_visibility_timeout)


@dataclass(frozen=True, slots=True, init=False)
class Delays:
    """A list of delays: the first one after the first receive, and so on; the last one repeats.

    The delays have no jitter, like ``ConstantBackoff``.

    Parameters
    ----------
    delays :
        Seconds, each 0 to 31622400 (366 days); at least one.

    Raises
    ------
    SettingsError
        There is no delay, or one is out of its range.
    """

    delays: tuple[float, ...]

    def __init__(self, *delays: float) -> None:
        if not delays:
            raise SettingsError(
                "Delays() has no delay",
                why="the last delay repeats, so there must be at least one",
                next="pass seconds: Delays(10, 60, 600)",
            )
        for number, seconds in enumerate(delays, 1):
            check_bounds(f"delay {number}", seconds, 0, MAX_PARKED_SECONDS)
        object.__setattr__(self, "delays", delays)

    def get_visibility_timeout(self, message: Message) -> float:
        """Seconds until the message can be received again."""
        return self.delays[min(message.receive_count, len(self.delays)) - 1]


#: the backoff of queues without a policy
DEFAULT_BACKOFF = ExponentialBackoff()

#: a failed message can be received again at once
IMMEDIATE_RETURN = ConstantBackoff()


def longest_wait(*, parks: bool) -> int:
    """Return the longest wait between two attempts, in seconds: longer if jobs are parked."""
    return MAX_PARKED_SECONDS if parks else MAX_VISIBILITY_TIMEOUT_SECONDS


def retry_horizon(
    queue_name: str,
    policies: Mapping[str | None, Backoff],
    max_receives: int,
    max_attempts: Mapping[str | None, int | None] | None = None,
    most_seconds: int = MAX_VISIBILITY_TIMEOUT_SECONDS,
) -> RetryHorizon:
    """Return how long a job of a queue is retried.

    The policies are asked about messages that do not exist, with the name of the queue and a
    receive count. They have no body and no attributes of a sender.

    Parameters
    ----------
    policies :
        The backoff policy of each job by its name; at least one. The shortest time counts.
    max_receives :
        Receives that the redrive policy of the queue allows.
    max_attempts :
        The attempts of each job by its name; None, or no entry, if only the receives limit them.
    most_seconds :
        Seconds to which the worker shortens a wait; see :func:`longest_wait`.
    """
    limits = {name: most for name, most in (max_attempts or {}).items() if most is not None}
    attempts = {name: min(limits.get(name, max_receives), max_receives) for name in policies}
    waits = _Waits(queue_name, most_seconds)
    horizon = _shortest(waits, policies, attempts, max_receives)
    others = {name: policy for name, policy in policies.items() if attempts[name] == max_receives}
    if horizon.max_attempts is not None and others:
        by_receives = _shortest(waits, others, attempts, max_receives)
        horizon = replace(horizon, by_receives=by_receives)
    is_cut = waits.longest > most_seconds
    return replace(horizon, cut_seconds=waits.longest) if is_cut else horizon


def _shortest(
    waits: "_Waits",
    policies: Mapping[str | None, Backoff],
    attempts: Mapping[str | None, int],
    max_receives: int,
) -> RetryHorizon:
    found: dict[str | None, tuple[int | None, int]] = {}
    for job_name, policy in policies.items():
        most = attempts[job_name]
        found[job_name] = (waits.until_last(policy, most), most)
    known = [
        (seconds, most, name) for name, (seconds, most) in found.items() if seconds is not None
    ]
    unknown = (None, min(attempts[name] for name in policies), None)
    seconds, most, job_name = min(known, key=lambda one: one[:2], default=unknown)
    differs = len(set(found.values())) > 1
    limit = most if most < max_receives else None
    return RetryHorizon(max_receives, seconds, job_name if differs else None, max_attempts=limit)


class _NoJitter(random.Random):
    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu


class _Waits:
    """The waits of a queue between the attempts of a job.

    Attributes
    ----------
    longest :
        The longest wait so far, in seconds, before it is shortened.
    """

    def __init__(self, queue_name: str, most_seconds: int) -> None:
        self.longest = 0
        self._queue_name = queue_name
        self._most_seconds = most_seconds
        self._known: dict[tuple[int, int], int | None] = {}  # most jobs share one policy

    def until_last(self, policy: Backoff, attempts: int) -> int | None:
        """Return the sum of the waits before the last attempt; None if the policy failed."""
        key = (id(policy), attempts)
        if key not in self._known:
            self._known[key] = self._sum(policy, attempts)
        return self._known[key]

    def _sum(self, policy: Backoff, attempts: int) -> int | None:
        try:
            if isinstance(policy, ExponentialBackoff):
                policy = copy.copy(policy)
                object.__setattr__(policy, "_random", _NoJitter())
            # As the worker waits: whole seconds.
            waits = [
                max(0, round(min(policy.get_visibility_timeout(message), MAX_PARKED_SECONDS)))
                for message in _failed_attempts(self._queue_name, attempts)
            ]
        except Exception:  # noqa: BLE001  # a user's policy can raise or return anything
            return None
        self.longest = max(self.longest, *waits, 0)
        return sum(min(seconds, self._most_seconds) for seconds in waits)


def _failed_attempts(queue_name: str, attempts: int) -> Iterator[Message]:
    for count in range(1, attempts):
        attributes = {"ApproximateReceiveCount": str(count)}
        yield Message("", "", "", attributes=attributes, queue_name=queue_name)
