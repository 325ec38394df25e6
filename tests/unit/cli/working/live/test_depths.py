"""How the live view queries the depth of queues."""

import logging
import threading

import pytest

from sqsw.core.events import RequestSent
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.depth import DepthReader, QueueDepth
from sqsw_cli.working.live.depths import AGAIN_SECONDS, Depths
from sqsw_cli.working.live.figures import Depth
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import dead_letter, send_jobs
from tests.unit.worker.doubles import ManualClock


class Asked:
    """Depths of the queues of an environment, with faults between them and SQS."""

    def __init__(self) -> None:
        self.env = SQSEnv(MemorySession(), queue_prefix="")
        create_queue(self.env, "emails", dead_letter_queue="emails_dead", max_receives=1)
        create_queue(self.env, "news", dead_letter_queue="emails_dead", max_receives=1)
        create_queue(self.env, "reports")
        self.clock = ManualClock()
        self.told: dict[str, Depth] = {}
        self.requests: list[RequestSent] = []
        self.env.events.subscribe(self.requests.append, RequestSent)
        reader = DepthReader(self.env)
        self.faults = Faults(reader._clients.client)
        url = self.env.queue_client("news").url
        queues = {"emails": "emails", "news": url, "reports": "reports"}
        self.requests.clear()
        up = threading.Event()
        self.depths = Depths(reader, queues, self.told.__setitem__, up, self.clock)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_a_round_is_one_request_per_queue_and_is_not_counted_as_work(asked: Asked) -> None:
    send_jobs(asked.env, "emails", {"n": 1})
    dead_letter(asked.env, "emails")
    send_jobs(asked.env, "emails", *({"n": n} for n in range(3)))
    asked.env.queue_client("emails").receive(1)
    asked.requests.clear()
    asked.depths.round()
    arn = asked.told["emails"].dead_letter_queue
    assert arn is not None and arn.endswith(":emails_dead")
    assert asked.told == {
        "emails": Depth(2, 1, 1, dead_letter_queue=arn),
        "news": Depth(0, 0, 1, dead_letter_queue=arn),
        "reports": Depth(0, 0, None, has_dead_letters=False),
    }
    asked.faults.calls.clear()
    asked.depths.round()
    assert asked.faults.calls == ["GetQueueAttributes"] * 4  # three queues and a dead-letter queue
    assert not asked.requests


@pytest.mark.parametrize("code", ["AccessDenied", "RequestThrottled", "InternalError"])
def test_a_failed_query_shows_unknown_is_logged_once_and_pauses(
    asked: Asked, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked.faults.refuse("GetQueueAttributes", code, times=1)
    caplog.set_level(logging.WARNING, "sqsw.worker")
    asked.depths.round()
    assert asked.told["emails"] == Depth()
    assert asked.told["reports"].ready == 0
    asked.clock.advance(AGAIN_SECONDS - 1)
    asked.depths.round()
    assert asked.told["emails"] == Depth()
    asked.clock.advance(1)
    asked.faults.refuse("GetQueueAttributes", code, times=1)
    asked.depths.round()
    (line,) = caplog.records
    assert (line.__dict__["event"], line.__dict__["queue"]) == ("depth_unknown", "emails")
    assert f"[{code}]" in line.__dict__["reason"]
    asked.clock.advance(AGAIN_SECONDS)
    asked.depths.round()
    assert (asked.told["emails"].ready, asked.told["emails"].dead) == (0, 0)


def test_the_thread_starts_with_a_worker_and_ends_with_the_view(asked: Asked) -> None:
    told = threading.Event()
    up = threading.Event()
    depths = Depths(DepthReader(asked.env), {"reports": "reports"}, lambda *_: told.set(), up)
    depths.start()
    assert not told.wait(0.1)
    up.set()
    assert told.wait(20)
    depths.stop()
    depths._thread.join(20)
    assert not depths._thread.is_alive()


class Closing:
    """Answers after the reader has stopped waiting, with the error of a closed session."""

    def __init__(self) -> None:
        self.is_asked, self.is_closed = threading.Event(), threading.Event()

    def read(self, queue: str) -> QueueDepth:
        self.is_asked.set()
        self.is_closed.wait(20)
        raise ValueError("I/O operation on closed file")


def test_an_answer_after_the_end_is_ignored() -> None:
    reader, told, up = Closing(), list[str](), threading.Event()
    up.set()
    depths = Depths(reader, {"reports": "reports"}, lambda name, _: told.append(name), up)  # type: ignore[arg-type]  # as DepthReader
    depths.start()
    assert reader.is_asked.wait(20)
    depths.stop()
    reader.is_closed.set()
    depths._thread.join(20)  # pytest would report an error in a thread
    assert not depths._thread.is_alive() and not told
