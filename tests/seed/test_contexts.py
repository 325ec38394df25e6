# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Working with contexts: values that travel with every job."""

import os

import pytest

from sqsw import SQSEnv, create_standard_queue
from sqsw.processors import Processor
from tests.seed.conftest import work

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def sqs() -> SQSEnv:
    env = SQSEnv()
    create_standard_queue(env, "q1")
    return env


def test_the_wrong_call_in_the_readme_is_refused_and_the_right_one_named(sqs: SQSEnv) -> None:
    queue = sqs.queue("q1")
    with pytest.raises(TypeError, match=r"env\.processor\('q1', 'hello_world'"):

        @queue.processor("q1", "hello_world", pass_context=True)  # type: ignore[call-overload]  # the wrong call
        def hello_world(username=None, context=None):
            raise AssertionError


def test_the_wrong_call_is_refused_without_further_arguments_too(sqs: SQSEnv) -> None:
    with pytest.raises(TypeError, match=r"env\.processor\('q1', 'hello_world'"):
        sqs.queue("q1").processor("q1", "hello_world")  # type: ignore[call-overload]  # the wrong call


def test_a_context_reaches_the_function(sqs: SQSEnv, capsys: pytest.CaptureFixture[str]) -> None:
    queue = sqs.queue("q1")

    @sqs.processor("q1", "hello_world", pass_context=True)
    def hello_world(username=None, context=None):
        print(f"Hello {username} from {context['remote_addr']}")

    with sqs.context(remote_addr="127.0.0.1"):
        hello_world.delay(username="Foo")

    queue.process_batch(wait_seconds=1)
    assert capsys.readouterr().out == "Hello Foo from 127.0.0.1\n"
    assert sqs.context.to_dict() == {}


def test_a_context_can_be_set_and_cleared(sqs: SQSEnv, capsys: pytest.CaptureFixture[str]) -> None:
    @sqs.queue("q1").processor("hello_world", pass_context=True)
    def hello_world(username=None, context=None):
        print(f"Hello {username} from {context.get('remote_addr')}")

    sqs.context["remote_addr"] = "127.0.0.1"
    hello_world.delay(username="Foo")
    sqs.context.clear()
    hello_world.delay(username="Bar")

    work(sqs, "q1", 2)
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines == ["Hello Bar from None", "Hello Foo from 127.0.0.1"]


def test_a_context_is_passed_under_the_name_that_the_function_chose(sqs: SQSEnv) -> None:
    seen = []

    @sqs.processor("q1", "hello_world", pass_context=True, context_var="ctx")
    def hello_world(username, ctx=None):
        seen.append((username, ctx["remote_addr"]))

    with sqs.context(remote_addr="127.0.0.1"):
        hello_world.delay("Foo")
    sqs.process_batch("q1", wait_seconds=1)
    assert seen == [("Foo", "127.0.0.1")]


def test_a_processor_can_apply_the_context_to_all_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_ADDR", "none")

    class CustomProcessor(Processor):
        def process(self, job_kwargs, job_context):
            os.environ["REMOTE_ADDR"] = job_context["remote_addr"]
            super(CustomProcessor, self).process(job_kwargs, job_context)  # noqa: UP008 - README
            os.unsetenv("REMOTE_ADDR")

    sqs = SQSEnv(
        processor_maker=CustomProcessor,
    )
    create_standard_queue(sqs, "q1")
    seen = []

    @sqs.processor("q1", "hello_world")
    def hello_world():
        seen.append(os.environ["REMOTE_ADDR"])

    with sqs.context(remote_addr="127.0.0.1"):
        hello_world.delay()
    assert sqs.process_batch("q1", wait_seconds=1).succeeded_count() == 1
    assert seen == ["127.0.0.1"]
