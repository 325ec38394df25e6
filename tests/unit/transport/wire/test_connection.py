"""A connection over real sockets, to servers that send valid and invalid responses."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sqsw.transport.wire import connection as module
from sqsw.transport.wire.connection import Address, Answer, Connection, ConnectionBroken, TimedOut

Behavior = Callable[[socket.socket], None]

GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def serving(behave: Behavior) -> Iterator[Address]:
    """Start a server that runs this behavior on each connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listening.accept()
                with accepted, contextlib.suppress(OSError):
                    behave(accepted)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Address("127.0.0.1", listening.getsockname()[1], False)
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def answering(*answers: bytes) -> Behavior:
    def behave(accepted: socket.socket) -> None:
        for answer in answers:
            if not accepted.recv(65536):
                return
            accepted.sendall(answer)
        accepted.recv(1)

    return behave


def exchange(behave: Behavior, seconds: float = 2.0) -> Answer:
    with serving(behave) as address:
        connection = Connection(address, None)
        try:
            return connection.exchange(b"POST / HTTP/1.1\r\n\r\n", seconds)
        finally:
            connection.close()


def test_a_response_with_a_length_is_read() -> None:
    assert exchange(answering(GOOD)) == Answer(200, True, b"{}")


def test_a_response_in_chunks_and_in_single_bytes_is_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"

    def trickle(accepted: socket.socket) -> None:
        accepted.recv(65536)
        for byte in chunked:
            accepted.sendall(bytes([byte]))
        accepted.recv(1)

    assert exchange(trickle).body == b"{}"


def test_a_response_of_unknown_length_ends_with_the_connection() -> None:
    def once(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(b"HTTP/1.1 200 OK\r\n\r\n{")
        accepted.sendall(b"}")

    with serving(once) as address:
        connection = Connection(address, None)
        assert connection.exchange(b"x", 2.0).body == b"{}"
        assert not connection.can_be_kept
        connection.close()


def test_a_100_continue_is_not_the_response() -> None:
    answer = b"HTTP/1.1 100 Continue\r\nx-amzn-requestid: no\r\n\r\n" + GOOD
    assert exchange(answering(answer)) == Answer(200, True, b"{}")


def test_a_slow_response_can_take_longer_than_the_silence_limit() -> None:
    def slow(accepted: socket.socket) -> None:
        accepted.recv(65536)
        for byte in GOOD:
            accepted.sendall(bytes([byte]))
            time.sleep(0.01)
        accepted.recv(1)

    assert exchange(slow, seconds=0.5).body == b"{}"


class TimeLimit(BaseException):
    """Stands for an exception that another thread raises in the middle of a job."""


def test_an_exception_in_the_middle_of_a_response_reaches_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise TimeLimit

    monkeypatch.setattr(module._AnswerReader, "on_body", interrupted)
    with pytest.raises(TimeLimit):
        exchange(answering(GOOD))


def test_two_requests_use_one_connection() -> None:
    with serving(answering(GOOD, GOOD)) as address:
        connection = Connection(address, None)
        for _ in range(2):
            assert not connection.is_stale
            assert connection.exchange(b"x", 2.0).body == b"{}"
            assert connection.can_be_kept
        connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        GOOD.replace(b"Content-Length", b"Connection: close\r\nContent-Length"),
        GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["close", "HTTP/1.0"],
)
def test_a_connection_that_the_server_will_close_is_not_kept(answer: bytes) -> None:
    with serving(answering(answer)) as address:
        connection = Connection(address, None)
        connection.exchange(b"x", 2.0)
        assert not connection.can_be_kept
        connection.close()


def test_a_connection_that_the_server_closed_is_stale() -> None:
    def one_answer(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(GOOD)

    with serving(one_answer) as address:
        connection = Connection(address, None)
        connection.exchange(b"x", 2.0)
        deadline = time.monotonic() + 5
        while not connection.is_stale:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        connection.close()


def test_a_connection_that_was_idle_for_too_long_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(GOOD)) as address:
        connection = Connection(address, None)
        connection.exchange(b"x", 2.0)
        monkeypatch.setattr(module, "_IDLE_SECONDS", 0.0)
        assert connection.is_stale
        connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: x",
        GOOD + GOOD,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
    ids=[
        "nothing",
        "not HTTP",
        "shorter than it says",
        "negative length",
        "two lengths",
        "bad chunk",
        "half a header",
        "two answers",
        "another protocol",
    ],
)
def test_anything_but_one_complete_response_is_an_error(answer: bytes) -> None:
    def once(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(answer)

    with pytest.raises(ConnectionBroken):
        exchange(once)


@pytest.mark.parametrize("is_trickling", [False, True], ids=["silent", "trickling"])
def test_the_whole_exchange_has_a_time_limit(
    is_trickling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()

    def slow(accepted: socket.socket) -> None:
        accepted.recv(65536)
        if is_trickling:
            accepted.sendall(b"HTTP/1.1 200 OK\r\n")
        while not given_up.wait(0.05):
            if is_trickling:
                accepted.sendall(b"a: b\r\n")

    with serving(slow) as address:
        connection = Connection(address, None)
        monkeypatch.setattr(module, "_TRANSFER_SECONDS", 0.2)
        with pytest.raises(TimedOut):
            connection.exchange(b"x", 0.3)
        given_up.set()
        connection.close()


def test_a_response_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1_000_000)

    def flood(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(50):
            accepted.sendall(b"x" * 1_000_000)

    with pytest.raises(ConnectionBroken, match="too large"):
        exchange(flood)


def test_a_server_that_does_not_listen_is_an_error() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    address = Address("127.0.0.1", free.getsockname()[1], False)
    free.close()
    with pytest.raises(ConnectionBroken):
        Connection(address, None)


def test_mutated_responses_are_complete_or_an_error() -> None:
    chosen = random.Random(7)
    for _ in range(300):
        mutated = bytearray(GOOD)
        for _ in range(chosen.randrange(1, 6)):
            place = chosen.randrange(len(mutated))
            mutated[place : place + chosen.randrange(0, 3)] = chosen.randbytes(chosen.randrange(3))

        def once(accepted: socket.socket, answer: bytes = bytes(mutated)) -> None:
            accepted.recv(65536)
            accepted.sendall(answer)

        with contextlib.suppress(ConnectionBroken):
            assert isinstance(exchange(once), Answer)
