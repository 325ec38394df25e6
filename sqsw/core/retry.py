"""The wait before a failed call is repeated."""

import random
from collections.abc import Callable

#: the most doublings of the wait; after these, every longest wait is reached
_MOST_DOUBLINGS = 20


def retry_seconds(
    failures: int, first: float, longest: float, chance: Callable[[], float] = random.random
) -> float:
    """Return the seconds to wait: doubled with each failure, and less by a random part.

    Parameters
    ----------
    failures :
        How often the call has failed before, 0 for its first failure.
    first, longest :
        The wait after the first failure and the longest wait, in seconds. Each can be up to half
        as long, so that many workers do not repeat their calls at the same moment.
    chance :
        Returns a number from 0 to 1.
    """
    most: float = min(longest, first * 2 ** min(failures, _MOST_DOUBLINGS))
    return most * (0.5 + chance() / 2)
