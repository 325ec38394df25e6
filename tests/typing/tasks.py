"""A task has the parameters of its function."""

from datetime import datetime, timedelta
from typing import Unpack, assert_type

from sqsw import SQSEnv
from sqsw.async_task import AsyncTask, AsyncTaskDelayArgs, BakedAsyncTask

env = SQSEnv()
queue = env.queue("emails")


@queue.processor("send_email")
def send_email(to: str, subject: str = "Hello", *, urgent: bool = False) -> int:
    return len(to)


@env.processor("emails", "send_later")
def send_later(to: str, **_delay_args: Unpack[AsyncTaskDelayArgs]) -> None: ...


@queue.processor("send_async")
async def send_async(to: str) -> None: ...


@queue.processor("with_context", pass_context=True, context_var="ctx")
def with_context(to: str, ctx: dict[str, str] | None = None) -> None: ...


@env.task(queue="emails")
def by_name(to: str, count: int = 1) -> None: ...


@env.task("emails", "with_context_too", pass_context=True)
def with_context_too(to: str, context: object = None) -> None: ...


@env.periodic("0 3 * * *", tz="Europe/Berlin", queue="cron.fifo")
def nightly(city: str, at: datetime | None = None) -> None: ...


@env.periodic(every=300, queue="cron.fifo", args={"to": "ann"}, overlap="skip")
@env.task(queue="emails")
def often(to: str) -> None: ...


async def in_a_coroutine() -> None:
    assert_type(await send_email.adelay("ann", urgent=True), str | None)
    assert_type(await send_email.options(delay=5).adelay("ann"), str | None)
    assert_type(await send_email.bake("ann").adelay(), str | None)
    async with send_email.batch():
        await send_email.adelay(to=1)  # E: Argument "to" to "adelay" of "AsyncTask" has
    await send_email.adelay("ann", _delay_seconds=5)  # E: Unexpected keyword argument


# Accepted.
assert_type(send_email.delay("ann"), str | None)
send_email.delay(to="ann", subject="Hi", urgent=True)
send_email.delay(to="ann", _delay_seconds=5)
send_email.delay(to="ann", _delay_seconds=5.5)
send_email.delay(to="ann", _delay_seconds=timedelta(days=3), _job_id="mail-17")
send_email.delay("ann", _run_at=datetime.now(), _group_id="g")
send_email.delay("ann", _content_type="json")
send_email.delay("ann", _group_id="g", _deduplication_id="d", _delay_seconds=0)
send_email.delay("ann", _job_id="mail-17")
send_email.delay("ann", _job_id="mail-17", _delay_seconds=5)
send_later.delay(to="ann", _delay_seconds=5, _group_id="g")
send_later.delay(to="ann", _run_at=datetime.now())
nightly.delay("Berlin", at=datetime.now())
assert_type(often.delay("ann"), str | None)
often.delay(too="ann")  # E: No overload variant of "delay"
env.periodic(every=60, queue="cron.fifo", overlap="both")  # E: Argument "overlap" to "periodic"
send_async.delay(to="ann")
with_context.delay(to="ann")
send_email.run("ann")
with send_email.batch():
    send_email.delay(to="ann")
assert_type(send_email.options(delay=60).delay("ann", urgent=True), str | None)
send_email.options(group="g", deduplication_id="d", job_id="j", content_type="json").delay("ann")
assert_type(send_email.options(delay=0.5).bake(to="ann"), BakedAsyncTask)
send_email.options(delay=timedelta(days=3)).delay("ann")
send_email.options(run_at=datetime.now()).delay("ann")
by_name.delay("ann", count=2)
by_name.options(delay=1).delay("ann", count=2)
with_context_too.delay(to="ann")
baked = send_email.bake(to="ann")
assert_type(baked, BakedAsyncTask)
assert_type(baked.delay(), str | None)
connected: AsyncTask[[str]] = queue.connect_processor("send_async", send_async.processor)

# Refused.
send_email.delay(to=1)  # E: No overload variant of "delay"
send_email.delay()  # E: overload variants of "delay" of "AsyncTask" require at least one
send_email.delay(to="ann", body="no such parameter")  # E: No overload variant of "delay"
send_email.delay(to="ann", _delay_seconds="5")  # E: No overload variant of "delay"
send_email.delay(to="ann", _run_at="tomorrow")  # E: No overload variant of "delay"
send_email.delay(to="ann", _priority=1)  # E: No overload variant of "delay"
send_email.delay(to="ann", _job_id=17)  # E: No overload variant of "delay"
send_email.options(delay=60).delay(to=1)  # E: Argument "to" to "delay" of "TaskWithOptions"
send_email.options(delay=60).delay("ann", body="x")  # E: Unexpected keyword argument "body"
send_email.options(delay="60")  # E: Argument "delay" to "options" of "AsyncTask" has
send_email.options(run_at=60)  # E: Argument "run_at" to "options" of "AsyncTask" has
send_email.options(priority=1)  # E: Unexpected keyword argument "priority" for "options"
by_name.delay("ann", count="2")  # E: No overload variant of "delay"
env.task()  # E: All overload variants of "task" of "SQSEnv" require at least one argument
send_email.run(to=1)  # E: Argument "to" to "run" of "AsyncTask" has incompatible type "int"
send_email.bake(1)  # E: Argument 1 to "bake" of "AsyncTask" has incompatible type "int"
send_email.bake("ann", urgent="very")  # E: Argument "urgent" to "bake"
send_later.delay(to="ann", _priority=1)  # E: No overload variant of "delay"
queue.processor("q1", "hello_world")  # E: No overload variant of "processor"
