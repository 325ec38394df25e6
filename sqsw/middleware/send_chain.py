"""Code that sees each message before it is sent."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqsw.core.errors import MessageRefused, SQSError
from sqsw.core.job_metadata import entry_job_id
from sqsw.core.record import record
from sqsw.core.wording import described
from sqsw.middleware.chain import Middleware


@record()
class OutgoingEntry:
    """A message that is about to be sent.

    Attributes
    ----------
    queue_name :
        The name of the queue, without prefix.
    job_name :
        The job name; None for a raw message.
    entry :
        The parameters of its SendMessage, without the queue URL, to be changed in place.
    """

    queue_name: str
    job_name: str | None
    entry: dict[str, Any]

    @property
    def job_id(self) -> str | None:
        """The job id, which stays the same when the message moves; None if it has none."""
        return entry_job_id(self.entry)

    def set_attribute(self, name: str, text: str) -> None:
        """Add a message attribute of type ``String``; SQS takes ten, and a job has four already."""
        attributes = self.entry.setdefault("MessageAttributes", {})
        attributes[name] = {"DataType": "String", "StringValue": text}


class SendMiddleware(Middleware, Protocol):
    """A middleware that also sees each message before it is sent.

    It is called once for each message, by ``delay`` and ``add_job`` themselves, also inside a
    batch. An exception refuses the message. A redrive and the retry of a send do not call it::

        class Tracing:
            def before_send(self, message: OutgoingEntry) -> None:
                message.set_attribute("traceparent", current_traceparent())

            @contextmanager
            def around(self, job: CurrentJob) -> Iterator[None]:
                with span(job.job_name, parent=job.message.string_attribute("traceparent")):
                    yield
    """

    def before_send(self, message: OutgoingEntry) -> None:
        """Look at the message, and change it if needed."""
        ...


def call_before_send(middlewares: Sequence[Middleware], message: OutgoingEntry) -> None:
    """Call the ``before_send`` of all middlewares that have one, the first one first.

    Raises
    ------
    MessageRefused
        One of them raised an exception.
    """
    for middleware in middlewares:
        before_send = getattr(middleware, "before_send", None)  # most middlewares have none
        if before_send is None:
            continue
        try:
            before_send(message)
        except SQSError:
            raise
        except Exception as error:
            raise MessageRefused(
                f"{type(middleware).__name__}.before_send() failed, so the message was not sent",
                why=described(error),
            ) from error
