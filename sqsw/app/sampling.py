"""Check whether this release can run the queued messages, using a sample. Nothing is run."""

from collections import Counter
from collections.abc import Callable

from sqsw.codecs.table import get_codec
from sqsw.core.arguments import validate_arguments
from sqsw.core.errors import ContentTypeRefused, SQSError
from sqsw.core.wording import counted, shortened, text_of
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.checks import Check
from sqsw.sqs_manage.message_view import MessageView
from sqsw.sqs_manage.peek import peek_messages
from sqsw.sqs_manage.receive_pass import Notice

#: maximum kinds of problems that a check names
_SHOWN = 3

#: maximum characters of a job name, because senders choose it
_NAME_LENGTH = 100


def check_sample(
    env: SQSEnv, queue_name: str, limit: int, *, on_notice: Callable[[Notice], None] | None = None
) -> Check:
    """Compare up to ``limit`` queued messages with the functions that would run them.

    For the side effects, see :func:`sqsw.sqs_manage.peek.peek_messages`.

    Parameters
    ----------
    limit :
        The maximum number of messages, at least 1.
    on_notice :
        Called with notices for the user.
    """
    name = env.queue_client(queue_name).name
    what = f"{name}: sample"
    troubles = Counter[str]()
    looked = 0
    try:
        for view in peek_messages(env, queue_name, limit, on_notice=on_notice):
            looked += 1
            if trouble := _trouble(env, name, view):
                troubles[trouble] += 1
    except SQSError as error:
        return Check(what, "fail", error.message, error.next)
    if not looked:
        return Check(what, "ok", "no messages")
    messages = counted(looked, "message")
    if not troubles:
        return Check(what, "ok", f"{messages}: all jobs are registered, and their arguments fit")
    return Check(
        what,
        "fail",
        f"of {messages}: "
        + "; ".join(f"{count} {trouble}" for trouble, count in troubles.most_common(_SHOWN)),
        "before you deploy this release, register the job for this queue, give the function's new "
        "parameters defaults, or accept the content type",
    )


def _trouble(env: SQSEnv, queue_name: str, view: MessageView) -> str | None:
    """Return why this message could not run, or None."""
    queue = env.queues.get(queue_name)
    if isinstance(queue, RawQueue):
        return None if queue.processor is not None else "without a registered function"
    if view.job is None:
        return "without a job name"
    if isinstance(queue, JobQueue) and view.content_type is not None:
        try:
            get_codec(view.content_type, queue.accept)
        except ContentTypeRefused as error:
            return f"whose {shortened(error.message)}"
    if not isinstance(queue, JobQueue) or view.job not in queue.processors:
        return f"of the job {shortened(view.job, _NAME_LENGTH)!r}, which is not registered"
    if view.args is None:  # undecoded arguments cannot be compared
        return (
            "that is not valid json, or is nested too deeply"
            if view.content_type == "json"
            else None
        )
    processor = queue.processors[view.job]
    if not getattr(processor, "check_arguments", True):  # a custom processor may lack it
        return None
    provided = {processor.context_var: None} if processor.pass_context else {}
    try:
        validate_arguments(processor.fn, {**view.args, **provided})
    except TypeError as error:
        return f"of the job {shortened(view.job, _NAME_LENGTH)!r}: {text_of(error)}"
    return None
