"""How much memory a process has."""

import resource


def memory_of(pid: int | str) -> int | None:
    """Return the bytes of a process that are not swapped out; None if the system does not say.

    ``pid`` can be ``self``.
    """
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return None
