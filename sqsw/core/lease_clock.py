"""The clock for leases: like a visibility timeout, it keeps running while the machine sleeps."""

import sys
import time
from collections.abc import Callable
from functools import partial


def _choose() -> Callable[[], float]:
    # time.monotonic() stops while the machine sleeps. On macOS, CLOCK_MONOTONIC does not.
    name = "CLOCK_MONOTONIC" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
    number = getattr(time, name, None)
    if number is None:
        return time.monotonic
    clock = partial(time.clock_gettime, number)
    try:
        clock()
    except OSError:  # a sandbox without this clock
        return time.monotonic
    return clock


#: Seconds since a moment in the past, like ``time.monotonic()``, but including sleep.
lease_time: Callable[[], float] = _choose()
