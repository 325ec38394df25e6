"""The fixtures of the pytest plugin, used as the tests of an app use them."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import pytest

from sqsw import MemorySession, SQSEnv, create_fifo_queue, create_standard_queue
from sqsw.core.errors import AppLoadError, SettingsError
from sqsw.pytest_plugin import SQSServer, _parts_of
from tests.installed import needs_plugin

pytestmark = needs_plugin

#: the server addresses that the tests of this module got
addresses: set[str] = set()


@pytest.fixture
def variables_of_a_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a machine that uses AWS through a proxy."""
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of an account")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("SQSW_LOCAL", "queues.db")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "intranet.example")


def queue_urls() -> list[str]:
    """Return the URLs of the queues that plain boto3 finds."""
    found: list[str] = boto3.client("sqs").list_queues().get("QueueUrls", [])
    return found


def test_the_plugin_alone_imports_almost_nothing() -> None:
    code = "import sys, sqsw.pytest_plugin; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {name for name in loaded if name.startswith("sqsw")} == {
        "sqsw",
        "sqsw.core",
        "sqsw.core.lazy_face",
        "sqsw.pytest_plugin",
    }
    assert loaded.isdisjoint({"boto3", "botocore", "uvicorn", "sqlite3", "importlib_metadata"})


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_environment_without_queues(sqs_env: SQSEnv, turn: int) -> None:
    assert sqs_env.get_all_known_queues() == []
    create_standard_queue(sqs_env, "emails")
    assert sqs_env.location() == "memory"


def test_a_delayed_job_is_hidden_until_it_is_due(
    sqs_env: SQSEnv, sqs_session: MemorySession
) -> None:
    create_standard_queue(sqs_env, "emails")
    done = []

    @sqs_env.processor("emails", "send_email")
    def send_email(to: str) -> None:
        done.append(to)

    send_email.delay(to="ann@example.com", _delay_seconds=900)
    assert sqs_env.process_batch("emails").total_count() == 0
    sqs_session.clock.advance(minutes=15)
    assert sqs_env.process_batch("emails").succeeded_count() == 1
    assert done == ["ann@example.com"]


def test_work_off_runs_all_queues_through_delays_backoffs_and_dead_letters(
    sqs_env: SQSEnv, sqs_session: MemorySession
) -> None:
    for name in ("orders_dead", "emails"):
        create_standard_queue(sqs_env, name)
    create_standard_queue(
        sqs_env, "orders", redrive_policy=sqs_env.redrive_policy("orders_dead", 3)
    )
    create_fifo_queue(sqs_env, "stock.fifo", content_based_deduplication=True)
    done: list[str] = []

    @sqs_env.task(queue="orders")
    def ship(order: int) -> None:
        done.append(f"ship {order}")
        if order < 0:
            raise ValueError(order)
        take.options(group="tea").delay(order)

    @sqs_env.task(queue="stock.fifo")
    def take(order: int) -> None:
        done.append(f"take {order}")
        if order == 3 and done.count("take 3") < 4:
            raise ConnectionError(order)
        send_email.options(delay=600).delay(order)

    @sqs_env.task(queue="emails")
    async def send_email(order: int) -> None:
        done.append(f"email {order}")

    @sqs_env.task(queue="a_queue_that_nobody_created")
    def never() -> None: ...

    began = time.monotonic()
    for order in (3, 4, -1):
        ship.delay(order)
    result = sqs_env.work_off()

    assert time.monotonic() - began < 20
    assert result.left == {"orders_dead": 1}
    assert (result.succeeded, result.failed) == (6, 6)
    assert sorted(map(repr, result.errors)) == ["ConnectionError(3)"] * 3 + ["ValueError(-1)"] * 3
    assert 600 < result.moved_seconds < 1_200
    # In the group, order 4 waits for order 3, which fails three times.
    assert [each for each in done if each.startswith("take")] == ["take 3"] * 4 + ["take 4"]
    assert {"email 3", "email 4"} < set(done)

    assert sqs_env.work_off().succeeded == 0
    with pytest.raises(SettingsError, match="only on queues in memory"):
        SQSEnv(endpoint_url="http://127.0.0.1:1", region="us-east-1").work_off()


def test_the_coroutines_of_one_work_off_share_an_event_loop(sqs_env: SQSEnv) -> None:
    create_standard_queue(sqs_env, "emails")
    create_standard_queue(sqs_env, "images")
    turns: asyncio.Queue[str] = asyncio.Queue(
        1
    )  # while it is full, it is bound to the loop of its waiters
    loops: list[asyncio.AbstractEventLoop] = []

    @sqs_env.task(queue="emails")
    async def send_email() -> None:
        loops.append(asyncio.get_running_loop())
        await turns.put("email")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(turns.put("one too many"), 0.01)
        resize.options(delay=60).delay()

    @sqs_env.task(queue="images")
    async def resize() -> None:
        loops.append(asyncio.get_running_loop())
        assert await turns.get() == "email"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(turns.get(), 0.01)

    send_email.delay()
    result = sqs_env.work_off()
    assert (result.succeeded, result.errors) == (2, [])
    assert len(set(loops)) == 1
    assert loops[0].is_closed()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_in_work_off_can_process_a_batch(sqs_env: SQSEnv, is_async: bool) -> None:
    create_standard_queue(sqs_env, "emails")
    create_standard_queue(sqs_env, "images")
    inner: list[int] = []

    @sqs_env.task(queue="images")
    async def resize() -> None: ...

    def process_images() -> None:
        resize.delay()
        inner.append(sqs_env.process_batch("images").succeeded_count())

    async def process_images_in_a_coroutine() -> None:
        process_images()

    function = process_images_in_a_coroutine if is_async else process_images
    sqs_env.processor("emails", "outer")(function).delay()
    assert sqs_env.work_off().errors == []
    assert inner == [1]


def test_work_off_has_limits(sqs_env: SQSEnv) -> None:
    create_standard_queue(sqs_env, "emails")
    create_standard_queue(sqs_env, "warehouse")
    sqs_env.sqs_client.send_message(
        QueueUrl=sqs_env.queue("warehouse").client.url, MessageBody="for somebody else"
    )

    @sqs_env.task(queue="emails")
    def fail() -> None:
        raise ValueError

    @sqs_env.task(queue="emails")
    def again() -> None:
        again.delay()

    fail.delay()
    result = sqs_env.work_off(max_seconds=3_600)
    assert result.left == {"emails": 1, "warehouse": 1}
    assert 5 < result.failed < 20
    assert 1_800 < result.moved_seconds <= 3_601

    again.delay()
    result = sqs_env.work_off(max_attempts=50)
    assert 50 <= result.succeeded + result.failed < 60
    assert result.left == {"emails": 2, "warehouse": 1}


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_endpoint_without_queues_at_the_same_address(
    sqs_server: SQSServer, turn: int
) -> None:
    assert queue_urls() == []
    url = boto3.client("sqs").create_queue(QueueName="emails")["QueueUrl"]
    assert url.startswith(sqs_server.url)
    addresses.add(sqs_server.url)
    assert len(addresses) == 1


@pytest.mark.usefixtures("variables_of_a_developer")
def test_boto3_finds_the_endpoint_however_the_machine_is_configured(
    variables_of_a_developer: None, sqs_server: SQSServer
) -> None:
    url = boto3.client("sqs").create_queue(QueueName="emails")["QueueUrl"]
    assert url.startswith(sqs_server.url)
    assert "AWS_SESSION_TOKEN" not in os.environ
    assert "intranet.example" in os.environ["NO_PROXY"]
    assert SQSEnv().get_all_known_queues() == ["emails"], "SQSW_LOCAL took precedence"


def test_a_child_process_finds_the_endpoint(sqs_server: SQSServer) -> None:
    code = "import boto3; boto3.client('sqs').create_queue(QueueName='of-a-child')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert queue_urls() == [f"{sqs_server.url}/000000000000/of-a-child"]


def test_an_environment_and_the_endpoint_have_the_same_queues(
    sqs_env: SQSEnv, sqs_server: SQSServer
) -> None:
    create_standard_queue(sqs_env, "emails")
    (url,) = queue_urls()
    client = boto3.client("sqs")
    client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=60)
    sqs_server.clock.advance(minutes=1)
    (message,) = sqs_env.queue("emails").get_raw_messages()
    assert message.body == "x"


def test_moving_the_clock_wakes_a_waiting_receive(sqs_server: SQSServer) -> None:
    client = boto3.client("sqs")
    url = client.create_queue(QueueName="emails")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=600)
    timer = threading.Timer(0.3, lambda: sqs_server.clock.advance(minutes=10))
    timer.start()
    began = time.monotonic()
    assert len(client.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]) == 1
    assert time.monotonic() - began < 10
    timer.join()


class TestCustomSession:
    @pytest.fixture
    def sqs_session(self) -> MemorySession:
        return MemorySession(region_name="eu-west-1", relaxed=True)

    def test_it_works_with_the_other_fixtures(self, sqs_env: SQSEnv, sqs_server: SQSServer) -> None:
        create_standard_queue(sqs_env, "emails")
        (url,) = queue_urls()
        assert boto3.client("sqs").meta.region_name == "eu-west-1"
        for _ in range(2):  # SQS requires 60 seconds in between
            boto3.client("sqs").purge_queue(QueueUrl=url)


def test_an_app_that_cannot_be_loaded_is_reported_with_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_of_a_test.py").write_text("from sqsw import SQSEnv\nenv = SQSEnv()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AppLoadError) as caught:
        _parts_of("shop_of_a_test:evn")
    assert caught.value.next == "in the pytest configuration, set sqsw_app = shop_of_a_test:env"
    with pytest.raises(AppLoadError) as caught:
        _parts_of("shop_of_a_test:SQSEnv.queue")
    assert caught.value.next == "fix the app, or the pytest option sqsw_app"
