"""Seconds as people write them: ``2m``, ``1h30m``, ``14d``."""

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def format_duration(seconds: int) -> str:
    """The shortest way to write this many seconds.

    >>> format_duration(5400)
    '1h30m'
    """
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
