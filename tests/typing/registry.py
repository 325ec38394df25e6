"""A task of a registry also has the parameters of its function, before and after binding."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, assert_type

from sqsw import SQSEnv, TaskRegistry, current_job
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.processors import Processor

tasks = TaskRegistry()


@tasks.task("emails")
def send_email(to: str) -> None: ...


@tasks.task("emails", "send_again", pass_context=True)
def send_again(to: str, context: object = None) -> None: ...


class Around:
    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        yield


class OneArgument(Processor):
    def process(self, job_kwargs: dict[str, Any]) -> Any:
        return super().process(job_kwargs)


class TwoArguments(Processor):
    def process(self, job_kwargs: dict[str, Any], job_context: Mapping[str, Any]) -> Any:
        return super().process(job_kwargs, job_context)


class NotAround:
    def about(self, job: CurrentJob) -> None: ...


# Accepted.
env = SQSEnv(middlewares=[Around()], processor_maker=Processor.maker(context_var="ctx"))
SQSEnv(processor_maker=OneArgument)
SQSEnv(processor_maker=TwoArguments)
tasks.bind(env)
tasks(env)
send_email.delay(to="ann")
send_email.delay(to="ann", _delay_seconds=5)
send_again.bake("ann")  # the worker provides an argument, so the others are not checked either
assert_type(current_job(), CurrentJob | None)

# Refused.
send_email.delay(to=1)  # E: No overload variant of "delay"
SQSEnv(middlewares=[NotAround()])  # E: List item 0 has incompatible type "NotAround"
tasks.bind("env")  # E: Argument 1 to "bind" of "TaskRegistry" has incompatible type "str"
