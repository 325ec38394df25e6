"""Waking between processes that share one file.

1. A process with a waiting receive binds one datagram socket, in a directory next to the file.
2. A process that commits a receivable message lists the directory and sends one datagram to each
   socket.
3. The waiting process also checks from time to time whether the file has changed. This covers lost
   datagrams and systems without such sockets.

No wake-up is lost in between: the receiver binds and then checks once more; the sender commits and
then lists. So either the check sees the commit, or the list has the socket.
"""

import contextlib
import os
import re
import secrets
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable
from typing import Final

#: bytes in the path of a socket: 107 on Linux, 103 on macOS
_MAX_PATH_BYTES: Final = 103
_NAME_BYTES: Final = 20
#: seconds between two checks of the file, with and without a socket
_TICK_SECONDS: Final = 1.0
_TICK_WITHOUT_SOCKET_SECONDS: Final = 0.05
#: the smallest number of datagrams that fill a socket (net.unix.max_dgram_qlen)
_FULL: Final = 10
#: the most datagrams that are read at once
_MOST: Final = 1_000

_MESSAGE = struct.Struct(">QI")
#: process id and a random number
_NAME = re.compile(r"[0-9]+-[0-9a-f]{8}")


class WakeSockets:
    """The sockets next to a file: one for each process with a waiting receive.

    Parameters
    ----------
    path :
        The database file.
    on_wake :
        Called in the listening thread with a queue's id and the number of receives to wake.
    on_tick :
        Called in the listening thread about once a second, and when datagrams can be missing.
    """

    def __init__(
        self, path: str, on_wake: Callable[[int, int], None], on_tick: Callable[[], None]
    ) -> None:
        self.directory = _directory(path)
        self._on_wake, self._on_tick = on_wake, on_tick
        self.lock = threading.Lock()
        self._pid = 0
        self._listener: _Listener | None = None
        self._sender: socket.socket | None = None

    def listen(self) -> None:
        """Bind our socket and start the listening thread, once in a process."""
        with self.lock:
            self._leave_inherited()
            if self._listener is None:
                self._listener = _Listener(self.directory, self._on_wake, self._on_tick)
                self._listener.start()

    def send(self, queue_id: int, count: int) -> None:
        """Tell the other processes that ``count`` messages of a queue can be received."""
        if self.directory is None or not _is_ours_alone(self.directory):
            return  # no process waits, or none with a socket
        try:
            names = os.listdir(self.directory)
        except OSError:
            return  # the last one has just left
        with self.lock:
            self._leave_inherited()
            own = self._listener.socket_name if self._listener else None
            for name in names:
                if name != own and _NAME.fullmatch(name):
                    self._send_to(f"{self.directory}/{name}", _MESSAGE.pack(queue_id, count))

    def close(self) -> None:
        with self.lock:
            self._leave_inherited()
            listener, sender = self._listener, self._sender
            self._listener = self._sender = None
        if sender:
            sender.close()
        if listener:
            listener.stop()

    def _leave_inherited(self) -> None:
        """Close inherited descriptors after a fork; the socket belongs to the parent."""
        if self._pid == os.getpid():
            return
        if self._listener:
            self._listener.close_socket()
        if self._sender:
            self._sender.close()
        self._pid, self._listener, self._sender = os.getpid(), None, None

    def _send_to(self, name: str, data: bytes) -> None:
        # The message is committed, so a failure here must not raise.
        try:
            if self._sender is None:
                self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._sender.setblocking(False)
            self._sender.sendto(data, name)
        except ConnectionRefusedError:
            _remove_dead(name)
        except OSError:
            pass  # the socket is full or gone, or this process has no free descriptor


class _Listener(threading.Thread):
    """The thread that reads the socket of this process; without a socket it only ticks."""

    def __init__(
        self,
        directory: str | None,
        on_wake: Callable[[int, int], None],
        on_tick: Callable[[], None],
    ) -> None:
        super().__init__(name="sqsw-wake", daemon=True)
        self.socket_name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._directory = directory
        self._on_wake, self._on_tick = on_wake, on_tick
        self._ended = threading.Event()
        self._socket = self._bind()

    def run(self) -> None:
        tick_at = 0.0
        while not self._ended.is_set():
            found = self._read()
            if self._ended.is_set():
                break
            for data in found:
                if len(data) == _MESSAGE.size:
                    self._on_wake(*_MESSAGE.unpack(data))
            # A full socket can have refused datagrams of other queues. The regular tick makes up
            # for them, even if one queue is busy all the time.
            if len(found) >= _FULL or time.monotonic() >= tick_at:
                self._on_tick()
                tick_at = time.monotonic() + (_TICK_SECONDS if self._socket else 0)
        self.close_socket()

    def stop(self) -> None:
        """End the thread and remove the socket."""
        self._ended.set()
        if self._socket:
            path = f"{self._directory}/{self.socket_name}"
            with contextlib.suppress(OSError):
                self._socket.sendto(b"stop", path)
            with contextlib.suppress(OSError):
                os.unlink(path)
            with contextlib.suppress(OSError):
                os.rmdir(str(self._directory))  # fails if other sockets are in it
        if self is not threading.current_thread():
            self.join(_TICK_SECONDS)

    def close_socket(self) -> None:
        if self._socket:
            self._socket.close()

    def _bind(self) -> socket.socket | None:
        if self._directory is None:
            return None
        # Retry: another process can remove the directory between these two steps.
        for _ in range(3):
            with contextlib.suppress(OSError):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self._directory, mode=0o700)
                    os.chmod(self._directory, 0o700)  # whatever the umask
                if not _is_ours_alone(self._directory):
                    continue
                bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                name = f"{self._directory}/{self.socket_name}"
                try:
                    bound.bind(name)
                    os.chmod(name, 0o600)
                except OSError:
                    bound.close()
                    continue
                return bound
        return None

    def _read(self) -> list[bytes]:
        """Return all waiting datagrams; none if the first one did not arrive in time."""
        found: list[bytes] = []
        if self._socket is None:
            self._ended.wait(_TICK_WITHOUT_SOCKET_SECONDS)
            return found
        try:
            self._socket.settimeout(_TICK_SECONDS)
            found.append(self._socket.recv(_MESSAGE.size))
            self._socket.settimeout(0)
            while len(found) < _MOST:
                found.append(self._socket.recv(_MESSAGE.size))
        except (TimeoutError, BlockingIOError):
            pass
        except OSError:
            self._ended.wait(_TICK_WITHOUT_SOCKET_SECONDS)
        return found


def _remove_dead(name: str) -> None:
    """Remove a socket that refuses connections, because its process was killed.

    Names are never reused, so it cannot be another process's. A regular file refuses in the same
    way and stays.
    """
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.lstat(name).st_mode):
            os.unlink(name)


def _is_ours_alone(directory: str) -> bool:
    """Return whether it is a real directory that only this user can write to."""
    try:
        found = os.lstat(directory)
    except OSError:
        return False
    is_private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    return is_private and found.st_uid == os.geteuid()


def _directory(path: str) -> str | None:
    """Return the directory of a file's sockets; None if their paths would be too long."""
    directory = f"{os.path.realpath(path)}-wake"
    return directory if len(os.fsencode(directory)) + 1 + _NAME_BYTES <= _MAX_PATH_BYTES else None
