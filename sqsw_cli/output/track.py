"""The rate of change of a number."""

from collections import deque


class Track:
    """The values of a number over the last seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._points: deque[tuple[float, int]] = deque()

    def add(self, at: float, value: int, *, least_seconds: float = 0.0) -> None:
        points = self._points
        if not points or at - points[-1][0] >= least_seconds:
            points.append((at, value))
        while len(points) > 1 and points[1][0] <= at - self._seconds:
            points.popleft()

    def clear(self) -> None:
        self._points.clear()

    def slope(self, now: float | None = None, value: int = 0) -> float:
        """Return the change per second, up to now or to the last point."""
        if not self._points:
            return 0.0
        begin, first = self._points[0]
        end, last = self._points[-1] if now is None else (now, value)
        return (last - first) / (end - begin) if end > begin else 0.0
