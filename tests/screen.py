"""A command on a terminal of its own whose screen can be looked at while it runs."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import pyte


class Terminal:
    """Runs a command, as the leader of a session, so that Ctrl-C reaches it.

    Attributes
    ----------
    screen :
        What a person sees.
    written :
        Every byte that came.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None = None,
        columns: int = 100,
        lines: int = 40,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.written = b""
        self._looks = True
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        self._set_size(columns, lines)
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # One call of the kernel, for which no thread can hold anything.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - see above
        )
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int) -> None:
        """Make it narrower or wider."""
        self._set_size(columns, self.screen.lines)
        self.screen.resize(columns=columns)

    def hang_up(self) -> None:
        """Close it, as somebody does who closes a window."""
        os.close(self._ours)
        self._ours = os.open(os.devnull, os.O_RDWR)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without what is empty below it."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def block(self, title: str = "queue ") -> list[str]:
        """The live view, from its head to its end; an empty line while it is being drawn."""
        heads = [index for index, line in enumerate(self.lines) if line.startswith(title)]
        return self.lines[heads[-1] :] if heads else [""]

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Take in what is written, until it shows what is waited for."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.lines)
            assert self._read(), "\n".join(["it has ended:", *self.lines])

    def end(self, *, looks: bool = True) -> int:
        """Take in the rest, which is seen on the screen if somebody looks; the exit code."""
        self._looks = looks
        while self._read():
            pass
        return self.process.wait(60)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # what Linux says once the other side is closed
            return False
        self.written += data
        if self._looks:
            self._stream.feed(data)
        return bool(data)
