"""The fixtures take seconds at most, whatever a test does to the clocks and asyncio."""

import re

import pytest

from tests.installed import needs_plugin

pytest_plugins = ("pytester",)

pytestmark = needs_plugin

#: what tests do: the body of a fixture that yields after doing it, and may not undo it
MISCHIEF = {
    "freezegun": """
        with freeze_time("2030-01-01"):
            yield
    """,
    "freezegun, in the past": """
        with freeze_time("1999-01-01") as frozen:
            yield
            frozen.tick(3600)
    """,
    "freezegun, never unfrozen": """
        frozen = freeze_time("2030-01-01")
        frozen.start()
        request.config.left_frozen.append(frozen)
        yield
    """,
    "time-machine": """
        with time_machine.travel("2030-01-01", tick=False):
            yield
    """,
    "time.sleep": """
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        yield
    """,
    "time.monotonic jumps back": """
        monkeypatch.setattr(time, "monotonic", lambda: 1e12)
        yield
        monkeypatch.undo()
    """,
    "all clocks, left behind": """
        time.time = time.monotonic = time.perf_counter = lambda: 7.0
        yield
    """,
    "asyncio.sleep returns at once": """
        async def sleep(*args): pass
        monkeypatch.setattr(asyncio, "sleep", sleep)
        yield
    """,
    "asyncio.sleep never returns, left behind": """
        async def sleep(*args): await asyncio.Event().wait()
        asyncio.sleep = sleep
        yield
    """,
    "asyncio.wait_for, left behind": """
        asyncio.wait_for = asyncio.wait = asyncio.run = mock.Mock(side_effect=RuntimeError)
        yield
    """,
    "event loop policy": """
        class Policy(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self): raise RuntimeError
            get_event_loop = new_event_loop
        asyncio.set_event_loop_policy(Policy())
        yield
    """,
    "closed loop": """
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.close()
        yield
    """,
    "a long poll of a thread": """
        def poll(endpoint=request.getfixturevalue("_sqsw_endpoint")):
            sqs = boto3.client(
                "sqs", "us-east-1", endpoint_url=endpoint.url,
                aws_access_key_id="x", aws_secret_access_key="x",
            )
            url = sqs.create_queue(QueueName="left")["QueueUrl"]
            sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        threading.Thread(target=poll, daemon=True).start()
        yield
    """,
}
#: undoes what a module left behind, after its last fixture, and checks that fixtures ended soon
CONFTEST = """
    import asyncio
    import time

    import pytest

    KEPT = [(module, dict(vars(module))) for module in (asyncio, time)]


    @pytest.fixture(scope="module", autouse=True)
    def first_fixture(pytestconfig):
        begun = time.monotonic()
        pytestconfig.left_frozen = []
        yield
        while pytestconfig.left_frozen:
            pytestconfig.left_frozen.pop().stop()
        for module, names in KEPT:
            vars(module).update(names)
        asyncio.set_event_loop_policy(None)
        assert time.monotonic() - begun < 30
"""
TESTS = """
    import asyncio
    import threading
    import time
    from unittest import mock

    import boto3
    import pytest
    import time_machine
    from freezegun import freeze_time

    from sqsw import SQSEnv, create_standard_queue


    @pytest.fixture@SCOPE@
    def mischief(request):
        monkeypatch = pytest.MonkeyPatch()
        @MISCHIEF@
        monkeypatch.undo()


    def test_over_http(sqs_server, mischief):
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="x")
        assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]
        assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)

    def test_in_memory(sqs_env, mischief):
        create_standard_queue(sqs_env, "jobs")
        done = []
        job = sqs_env.processor("jobs", "job")(lambda: done.append(1))
        job.delay()
        sqs_env.process_batch("jobs", wait_seconds=1)
        sqs_env.process_batch("jobs", wait_seconds=1)
        assert done == [1]
"""


@pytest.mark.parametrize("scope", ["", '(scope="module", autouse=True)'], ids=["within", "before"])
def test_the_run_ends_in_seconds(pytester: pytest.Pytester, scope: str) -> None:
    pytester.makeconftest(CONFTEST)
    for name, mischief in MISCHIEF.items():
        tests = TESTS.replace("        @MISCHIEF@", mischief.rstrip()).replace("@SCOPE@", scope)
        pytester.makepyfile(**{re.sub(r"\W+", "_", f"test_{name}"): tests})
    result = pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider", timeout=240)
    result.assert_outcomes(passed=2 * len(MISCHIEF))
