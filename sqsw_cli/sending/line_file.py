"""The lines of ``send --from``: read on demand, and kept until their outcome is known."""

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from types import TracebackType
from typing import IO, Self

import click

from sqsw.core.errors import SettingsError, SQSError
from sqsw.core.files import check_writable, distrust, open_descriptor, open_input
from sqsw_cli.errors.failures import Failure


def opened_input(path: str) -> AbstractContextManager[IO[bytes]]:
    if path == "-":
        stdin: AbstractContextManager[IO[bytes]] = click.open_file(path, "rb")
        return stdin
    try:
        return open_input(path)
    except OSError as error:
        raise SettingsError(f"cannot read {path}", why=error.strerror) from error


class LineFile:
    """A file of lines, which keeps those that were read and whose outcome is unknown."""

    def __init__(self, path: str) -> None:
        self.name = "stdin" if path == "-" else path
        self._opened = ExitStack()
        self._file = self._opened.enter_context(opened_input(path))
        self._is_broken = False
        self._read = _status(self._file)  # of stdin too, which can be a file
        self._under_way: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.close()

    def is_at(self, path: str) -> bool:
        """Return whether a path leads to the file being read, even under another name."""
        if self._read is None or not stat.S_ISREG(self._read.st_mode) or not os.path.exists(path):
            return False
        return os.path.samestat(self._read, os.stat(path))

    def look_through(self) -> Iterator[tuple[int, bytes]]:
        """Yield every line with its number, then rewind for :meth:`lines`."""
        if not self._file.seekable():
            self._spool()
        begin = self._file.tell()
        yield from enumerate(self._read_on(), start=1)
        self._file.seek(begin)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield every line that is not empty with its number, and keep it until :meth:`forget`."""
        for number, line in enumerate(self._read_on(), start=1):
            # First of all: a Ctrl-C before this would lose the line.
            self._under_way[number] = line
            if line.strip():
                yield number, line
            else:
                self.forget(number)

    def line(self, number: int) -> bytes:
        return _ended(self._under_way[number])

    def forget(self, number: int) -> None:
        """Drop a line whose outcome is known."""
        del self._under_way[number]

    @property
    def under_way(self) -> int:
        """The number of lines that were read and whose outcome is unknown."""
        return len(self._under_way)

    def rest(self) -> Iterator[bytes]:
        """Yield the lines whose outcome is unknown, then those that were not read, in order."""
        for line in self._under_way.values():
            yield _ended(line)
        for line in self._read_on():
            if line.strip():
                yield _ended(line)

    def _read_on(self) -> Iterator[bytes]:
        if self._is_broken:  # the error was raised before
            return
        try:
            # Not the file itself, which would be closed if this generator ends early.
            yield from iter(self._file.readline, b"")
        except OSError as error:
            self._is_broken = True
            raise SettingsError(f"cannot read {self.name}", why=error.strerror) from error

    def _spool(self) -> None:
        import tempfile

        temporary = tempfile.TemporaryFile()  # noqa: SIM115  # the stack closes it
        spool = self._opened.enter_context(temporary)
        spool.writelines(self._read_on())
        spool.seek(0)
        self._file = spool


class KeptLines:
    """The file for the lines that were not sent; the first one opens and truncates it.

    A write error does not stop sending, which would leave even more lines unsent.

    Attributes
    ----------
    error :
        Why lines are missing in the file; None if it is complete.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.error: Failure | None = None

    def write(self, line: bytes) -> None:
        """Write a line, including its line end."""
        self._try(lambda: self._opened().write(line))

    def close(self) -> None:
        """Flush and close the file; ``error`` does not change after this."""
        if self._file is not None:
            self._try(self._file.close)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            descriptor = open_descriptor(self._path, os.O_WRONLY | os.O_CREAT, pipes=True)
            try:
                status = os.fstat(descriptor)
                distrust(self._path, status)  # another file can have replaced it
                if stat.S_ISREG(status.st_mode):
                    os.ftruncate(descriptor, 0)
            except BaseException:
                os.close(descriptor)
                raise
            self._file = open(descriptor, "wb")  # noqa: SIM115  # closed by close()
        return self._file

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (OSError, SQSError) as error:
            why = error.strerror if isinstance(error, OSError) else error.summary
            self.error = Failure(
                f"cannot write the lines that were not sent to {self._path}", why=why
            )


def open_kept(
    path: str | None, source: LineFile, warn: Callable[[str, str], object]
) -> AbstractContextManager[KeptLines | None]:
    """Open the file for the lines that were not sent; return None without a path.

    Parameters
    ----------
    warn :
        Called with a problem and its reason if another user could have written the file.

    Raises
    ------
    SettingsError
        It is the file being read, or cannot be written.
    """
    if path is None:
        return nullcontext()
    if source.is_at(path):
        raise SettingsError(
            f"--from and --failed are the same file: {path}",
            why="it would be emptied before it is read",
            next="name another file for --failed",
        )
    try:
        if reason := check_writable(path):
            warn(f"another user can change {path}", reason)
        return closing(KeptLines(path))
    except OSError as error:
        raise SettingsError(f"cannot write {path}", why=error.strerror) from error


def _status(file: IO[bytes]) -> os.stat_result | None:
    try:
        return os.fstat(file.fileno())
    except io.UnsupportedOperation:  # a replacement for stdin can have no descriptor
        return None


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"
