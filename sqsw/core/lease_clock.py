"""The clock for leases: like a visibility timeout, it keeps running while the machine sleeps."""

import time
from functools import partial

#: Seconds since a moment in the past, like ``time.monotonic()``, but including sleep, which
#: CLOCK_MONOTONIC of macOS counts.
lease_time = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
