"""Converts errors of the file into errors of the library."""

from sqsw.core.errors import Busy, SettingsError, SQSError
from sqsw.local.errors import FileError, FileFailed, FileFull, FileLocked


class told_errors:
    """Raises errors of the file as an ``SQSError`` that tells what to do next.

    Every call enters one. A generator would take three times as long as this class.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str | None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, FileError | OSError):
            raise _told(self._path or "memory", error) from error


def _told(path: str, error: FileError | OSError) -> SQSError:
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return SettingsError(f"{path} cannot be used", why=why, next="choose another file")
    if isinstance(error, FileLocked):
        message = f"{path} is in use by another program"
        return Busy(message, reason="file", why=error.why, next=error.next)
    kind = SQSError if isinstance(error, FileFull | FileFailed) else SettingsError
    return kind(f"{path} cannot be used", why=error.why, next=error.next)
