"""Keeps a jump of the wall clock from expiring messages at once.

Expired messages are lost, but a wrong clock is often corrected by NTP soon. So retention checks the
wall clock against the time since the system booted, including sleep. If the wall clock jumps ahead
of it, retention ignores the jump for a while.
"""

import functools
import logging
import time
from functools import partial
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

#: retention follows smaller steps of the clock at once (milliseconds)
_TOLERANCE: Final = 5_000
_HOUR: Final = 3_600_000
#: milliseconds before retention follows a jump
_HOLD: Final = 24 * _HOUR
#: the same after a boot: shorter, because it is unknown how long the system was off
_HOLD_AFTER_BOOT: Final = _HOUR
#: milliseconds after which the file stores the time again
_LOOK: Final = _HOUR


class Known(NamedTuple):
    """The state of the clock in a file; all times in milliseconds."""

    #: the boot to which ``offset``, ``ahead`` and ``follow_at`` belong
    boot: str
    #: difference between the time that retention uses and the time since the boot
    offset: int
    #: difference between the wall clock and the time since the boot; if it is not ``offset``,
    #: retention ignores a jump
    ahead: int
    #: the time since the boot when retention follows the jump
    follow_at: int
    #: the time that retention used when this was last stored
    seen: int


class JumpWatch:
    """Compares the wall clock with the time since the boot.

    Attributes
    ----------
    held :
        How far the wall clock is ahead of the time that retention uses, in milliseconds.
    """

    def __init__(self) -> None:
        self.held = 0
        # Seconds, computed in advance because every call compares with them.
        self._low = self._high = self._look_at = 0.0

    def is_due(self) -> bool:
        """Return whether :meth:`judge` must be called, which is rare."""
        boot = _since_boot()
        return not (self._low < _wall() - boot < self._high and boot < self._look_at)

    def judge(self, known: Known | None) -> Known:
        """Return the new state for the file to store."""
        boot, wall = int(_since_boot() * 1000), int(_wall() * 1000)
        now = self._next(known, boot, wall - boot)
        self.held = now.ahead - now.offset
        self._low, self._high = (now.ahead - _TOLERANCE) / 1000, (now.ahead + _TOLERANCE) / 1000
        look_at = boot + _LOOK
        self._look_at = (min(look_at, now.follow_at) if self.held else look_at) / 1000
        return now

    def _next(self, known: Known | None, boot: int, offset: int) -> Known:
        is_first = known is None or known.boot != _boot_id()
        if known is None:
            known = Known("", offset, offset, 0, offset + boot)
        if is_first:
            # Assume that no time has passed since the state was last stored.
            base = min(offset, known.seen - boot)
            known = Known(_boot_id(), base, base, 0, known.seen)
        if offset - known.offset <= _TOLERANCE:
            # The clock was set back or did not move. Small steps do not change the stored state.
            base = known.offset if offset + _TOLERANCE >= known.offset else offset
            return self._seen(known._replace(offset=base, ahead=base, follow_at=0), boot)
        if abs(offset - known.ahead) > _TOLERANCE:
            hold = _HOLD_AFTER_BOOT if is_first else _HOLD
            return self._seen(known._replace(ahead=offset, follow_at=boot + hold), boot)
        if boot >= known.follow_at:
            return self._seen(known._replace(offset=offset, ahead=offset, follow_at=0), boot)
        return self._seen(known, boot)

    @staticmethod
    def _seen(known: Known, boot: int) -> Known:
        seen = boot + known.offset
        is_old = not known.seen <= seen < known.seen + _LOOK
        return known._replace(seen=seen) if is_old else known


def warn_of_jump(before: Known | None, after: Known) -> None:
    """Log once for each jump that retention ignores it."""
    held = after.ahead - after.offset
    if held and (before is None or before.ahead != after.ahead):
        logger.warning(
            "the clock jumped ahead by %.1f hours: retention ignores the jump for %.0f hours,"
            " or until the clock is set back",
            held / _HOUR,
            (after.follow_at - _since_boot() * 1000) / _HOUR,
        )


_wall = time.time
#: seconds since the boot, including sleep, which CLOCK_MONOTONIC of macOS counts
_since_boot = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@functools.cache
def _boot_id() -> str:
    """Return a string that is different after each boot; empty if the system has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
