"""How long a failed message stays hidden before it is tried again."""

import random
from dataclasses import dataclass, field

from sqsw.core.contracts import Backoff
from sqsw.core.limits import MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.message import Message
from sqsw.core.settings import check_bounds

#: The protocol of a backoff policy: ``get_visibility_timeout(message)`` in seconds.
BackoffPolicy = Backoff


@dataclass(frozen=True, slots=True)
class ConstantBackoff:
    """Always the same time.

    Parameters
    ----------
    backoff_value :
        Seconds, 0 to 43200.
    """

    backoff_value: float = 0.0

    def __post_init__(self) -> None:
        check_bounds("backoff_value", self.backoff_value, 0, MAX_VISIBILITY_TIMEOUT_SECONDS)

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
        Seconds: the result is kept between them, 0 to 43200.
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
        check_bounds(
            "min_visibility_timeout", min_visibility_timeout, 0, MAX_VISIBILITY_TIMEOUT_SECONDS
        )
        check_bounds(
            "max_visibility_timeout", max_visibility_timeout, 0, MAX_VISIBILITY_TIMEOUT_SECONDS
        )
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


#: what a queue does where nobody says otherwise
DEFAULT_BACKOFF = ExponentialBackoff()

#: a failed message can be received again at once
IMMEDIATE_RETURN = ConstantBackoff()
