"""Signals and notices wake the main thread."""

import os
import select
import signal
import threading
import time

import pytest

from sqsw.worker.signals import VERBS, InboxNotice, SignalInbox


def test_a_signal_becomes_a_notice_and_the_handlers_are_restored() -> None:
    before = {number: signal.getsignal(number) for number in VERBS}
    with SignalInbox() as inbox:
        os.kill(os.getpid(), signal.SIGTERM)
        (notice,) = inbox.wait(10)
        assert notice == InboxNotice("drain", "SIGTERM")
        assert notice.is_signal
    assert {number: signal.getsignal(number) for number in VERBS} == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_ends_a_wait_at_once() -> None:
    with SignalInbox() as inbox:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        begin = time.monotonic()
        assert inbox.wait(30) == [InboxNotice("slots", "SIGUSR1")]
        assert time.monotonic() - begin < 10
        timer.join()


def test_a_post_from_another_thread_ends_a_wait() -> None:
    with SignalInbox() as inbox:
        thread = threading.Thread(target=inbox.post, args=("drain", "stop"))
        thread.start()
        (notice,) = inbox.wait(30)
        thread.join()
    assert notice == InboxNotice("drain", "stop")
    assert not notice.is_signal


def test_a_post_before_the_wait_is_kept() -> None:
    inbox = SignalInbox()
    inbox.post("drain", "early")
    with inbox:
        assert select.select([inbox], [], [], 10)[0] == [inbox]
        assert [notice.reason for notice in inbox.wait(10)] == ["early"]


def test_a_wait_can_end_without_a_notice() -> None:
    with SignalInbox() as inbox:
        assert inbox.wait(0) == []


def test_many_posts_do_not_block_the_sender() -> None:
    with SignalInbox() as inbox:
        for _ in range(5000):
            inbox.post("quiet", "again")
        assert len(inbox.wait(10)) == 5000
        assert inbox.wait(0) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number: signal.Signals) -> None:
    former = signal.signal(number, signal.SIG_IGN)
    try:
        with SignalInbox():
            assert signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, former)


def test_outside_the_main_thread_handlers_stay_as_they_are() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def wait() -> None:
        with SignalInbox() as inbox:
            seen.append(signal.getsignal(signal.SIGTERM))
            inbox.post("drain", "stop")
            seen.append(inbox.wait(10)[0].reason)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(10)
    assert seen == [before, "stop"]
