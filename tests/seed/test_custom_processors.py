# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Custom processors: run code before or after a task."""

import pytest

from sqsw import SQSEnv, create_standard_queue
from sqsw.processors import Processor

pytestmark = pytest.mark.usefixtures("place")


def test_the_readme_s_override_with_one_argument_and_queue_name_works(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class CustomProcessor(Processor):
        def process(self, job_kwargs):
            print(f"Processing {self.queue_name}.{self.job_name} with {job_kwargs}")
            super(CustomProcessor, self).process(job_kwargs)  # noqa: UP008 - as the README has it

    sqs = SQSEnv(processor_maker=CustomProcessor)

    create_standard_queue(sqs, "emails")

    @sqs.queue("emails").processor("send_email")
    def send_email(to):
        print(f"Sending to {to}")

    send_email.delay(to="ann@example.com")
    assert sqs.process_batch("emails", wait_seconds=1).succeeded_count() == 1
    assert capsys.readouterr().out == (
        "Processing emails.send_email with {'to': 'ann@example.com'}\nSending to ann@example.com\n"
    )


def test_an_override_with_one_argument_keeps_the_context() -> None:
    class CustomProcessor(Processor):
        def process(self, job_kwargs):
            super().process(job_kwargs)

    sqs = SQSEnv(processor_maker=CustomProcessor)
    create_standard_queue(sqs, "emails")
    seen = []

    @sqs.processor("emails", "send_email", pass_context=True)
    def send_email(to, context=None):
        seen.append((to, context["user"]))

    with sqs.context(user=7):
        send_email.delay(to="ann@example.com")
    assert sqs.process_batch("emails", wait_seconds=1).succeeded_count() == 1
    assert seen == [("ann@example.com", 7)]


def test_an_override_that_raises_fails_the_job() -> None:
    class Refusing(Processor):
        def process(self, job_kwargs, job_context):
            raise PermissionError("not today")

    sqs = SQSEnv(processor_maker=Refusing)
    create_standard_queue(sqs, "emails")

    @sqs.processor("emails", "send_email")
    def send_email(to):
        raise AssertionError("never called")

    send_email.delay(to="ann@example.com")
    assert sqs.process_batch("emails", wait_seconds=1).failed_count() == 1


def test_a_processor_gets_the_arguments_of_its_maker() -> None:
    sqs = SQSEnv(processor_maker=Processor.maker(context_var="ctx"))
    queue = sqs.queue("emails")
    made = queue.env.processor_maker(queue=queue, fn=print)
    assert (made.queue, made.fn, made.job_name, made.pass_context) == (queue, print, "", False)
    assert made.context_var == "ctx"
    copied = made.copy(job_name="print")
    assert (copied.job_name, copied.context_var, made.job_name) == ("print", "ctx", "")
