"""Waking with and without sockets; two objects act as two processes."""

import errno
import os
import queue
import socket
import threading
import time
from pathlib import Path

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.store.wake_sockets import WakeSockets

Wakes = queue.Queue[tuple[int, int]]


def sockets_of(path: Path, wakes: Wakes | None = None) -> WakeSockets:
    def on_wake(queue_id: int, count: int) -> None:
        if wakes is not None:
            wakes.put((queue_id, count))

    return WakeSockets(str(path), on_wake, lambda: None)


def test_a_listener_gets_what_others_send(short_path: Path) -> None:
    wakes: Wakes = queue.Queue()
    listening, sending = sockets_of(short_path / "f.db", wakes), sockets_of(short_path / "f.db")
    listening.listen()
    listening.listen()
    sending.send(7, 3)
    assert wakes.get(timeout=2) == (7, 3)
    listening.send(7, 3)
    assert wakes.empty(), "a process does not send to itself"
    listening.close()
    sending.close()
    assert not (short_path / "f.db-wake").exists()


def test_sending_without_a_listener_does_nothing(short_path: Path) -> None:
    sockets = sockets_of(short_path / "f.db")
    sockets.send(1, 1)
    sockets.close()
    assert list(short_path.iterdir()) == []


def test_the_socket_of_a_killed_process_is_removed(short_path: Path) -> None:
    directory = short_path / "f.db-wake"
    directory.mkdir(mode=0o700)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(directory / "1-deaddead"))
    dead.close()
    sockets = sockets_of(short_path / "f.db")
    sockets.send(1, 1)
    sockets.close()
    assert list(directory.iterdir()) == []


def test_other_files_are_not_removed(short_path: Path) -> None:
    directory = short_path / "f.db-wake"
    directory.mkdir(mode=0o700)
    for name in ("notes.txt", "1-deadbeef"):
        (directory / name).write_text("precious")
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    other.bind(str(directory / "theirs"))
    other.close()
    sockets = sockets_of(short_path / "f.db")
    sockets.send(1, 1)
    sockets.close()
    assert sorted(os.listdir(directory)) == ["1-deadbeef", "notes.txt", "theirs"]
    assert (directory / "1-deadbeef").read_text() == "precious"


@pytest.mark.parametrize("kind", ["link", "others may write"])
def test_a_directory_that_others_can_write_to_is_not_used(short_path: Path, kind: str) -> None:
    directory, victim = short_path / "f.db-wake", short_path / "victim"
    victim.mkdir(mode=0o700)
    if kind == "link":
        directory.symlink_to(victim)
    else:
        directory.mkdir()
        directory.chmod(0o777)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(directory / "1-deaddead"))
    dead.close()
    ticks: queue.Queue[float] = queue.Queue()
    sockets = WakeSockets(
        str(short_path / "f.db"), lambda *_: None, lambda: ticks.put(time.monotonic())
    )
    sockets.send(1, 1)
    sockets.listen()
    assert ticks.get(timeout=2) < ticks.get(timeout=2), "it looks by itself instead"
    assert os.listdir(directory) == ["1-deaddead"]
    sockets.close()
    assert os.listdir(directory) == ["1-deaddead"]


def test_a_full_socket_does_not_raise(short_path: Path) -> None:
    directory = short_path / "f.db-wake"
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
        slow.bind(str(directory / "1-0123abcd"))
        sockets = sockets_of(short_path / "f.db")
        for _ in range(2000):
            sockets.send(1, 1)
        sockets.close()


def test_a_path_that_is_too_long_for_sockets_uses_ticks(short_path: Path) -> None:
    ticks: queue.Queue[float] = queue.Queue()
    sockets = WakeSockets(
        str(short_path / ("f" * 100)), lambda *_: None, lambda: ticks.put(time.monotonic())
    )
    sockets.listen()
    assert ticks.get(timeout=2) < ticks.get(timeout=2)
    sockets.send(1, 1)
    sockets.close()


def test_a_busy_queue_does_not_starve_receives_of_another_queue(short_path: Path) -> None:
    path = short_path / "f.db"
    ours, others = LocalEngine(path), LocalEngine(path)
    for name in ("busy", "quiet"):
        ours.handle("CreateQueue", {"QueueName": name})
    seconds: list[float] = []

    def wait() -> None:
        answer = ours.handle("ReceiveMessage", {"QueueUrl": "quiet", "WaitTimeSeconds": 20})
        seconds.append(time.time() - float(answer["Messages"][0]["Body"]))

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not ours.store.waiters._lines:
        time.sleep(0.005)
    with ours.store.waiters._lock:  # block the listening thread until its socket is full
        for _ in range(20):
            others.handle("SendMessage", {"QueueUrl": "busy", "MessageBody": "x"})
        others.handle("SendMessage", {"QueueUrl": "quiet", "MessageBody": repr(time.time())})
    while waiting.is_alive():  # keep the other queue busy
        others.handle("SendMessage", {"QueueUrl": "busy", "MessageBody": "x"})
        time.sleep(0.1)
    assert seconds[0] < 5
    ours.close()
    others.close()


def test_a_send_succeeds_without_a_socket(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is already stored, so an error would cause a second send."""
    (short_path / "f.db-wake").mkdir(mode=0o700)
    (short_path / "f.db-wake" / "1-0123abcd").touch()

    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    sockets = sockets_of(short_path / "f.db")
    sockets.send(1, 1)
    sockets.close()
