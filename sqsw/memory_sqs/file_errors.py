"""What is wrong with a file, in the words of the library."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqsw.core.errors import Busy, SettingsError, SQSError
from sqsw.local.errors import FileError, FileFailed, FileFull, FileLocked


@contextmanager
def told_errors(path: str | None) -> Iterator[None]:
    """Errors of the file come out as those of the library, with what to do next."""
    try:
        yield
    except (FileError, OSError) as error:
        raise _told(path or "memory", error) from error


def _told(path: str, error: FileError | OSError) -> SQSError:
    """What happened to the file, why, and what to do."""
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return SettingsError(f"{path} cannot be used", why=why, next="name another file")
    if isinstance(error, FileLocked):
        return Busy(f"{path} is in use by another program", why=error.why, next=error.next)
    kind = SQSError if isinstance(error, FileFull | FileFailed) else SettingsError
    return kind(f"{path} cannot be used", why=error.why, next=error.next)
