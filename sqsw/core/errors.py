"""Every error that sqsw raises by itself.

::

    SQSError
    ├── SQSBatchError          some entries of a batch were refused
    ├── SettingsError          a setting, an option or a file cannot be used
    ├── AppLoadError           an app or a plugin cannot be loaded
    ├── QueueNotFound          no queue of this name
    ├── TaskNotFound           no processor for this job
    ├── TaskAlreadyRegistered  two functions want one job name
    ├── UnboundTask            a task of a registry that no environment has taken yet
    ├── ContentTypeRefused     a content type that is unknown or not accepted
    ├── DecodeError            a message that cannot be read as a job
    ├── JobTimeout             a job ran longer than its time limit
    ├── JobNotStarted          a job could not be started, so it goes back unrun
    ├── MessageRefused         a message that SQS would refuse: size, characters, attributes
    ├── RedriveError           dead letters cannot be moved
    ├── Busy                   try again later
    ├── AccessDenied           no credentials, expired ones, or not enough permission
    ├── ConnectionFailed       the service cannot be reached
    └── UnexpectedAnswer       the endpoint answered, but not as SQS does
"""

from collections.abc import Mapping, Sequence
from typing import Any


class SQSError(Exception):
    """The root of all errors of sqsw, and the error for what the service refused.

    Parameters
    ----------
    message :
        What happened, with the names involved. ``str(error)`` is this text.
    why :
        The cause as far as it is known.
    next :
        A command or a change that would help.
    code :
        The error code of SQS, where SQS gave one.
    """

    def __init__(
        self,
        message: str = "",
        *,
        why: str | None = None,
        next: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.next = next
        self.code = code
        # So that a traceback shows them, too: the cause and the cure are half of the message.
        for word, text in (("why", why), ("next", next)):
            if text:
                self.add_note(f"  {word + ':':5} {text}")

    @property
    def summary(self) -> str:
        """What happened and, where it is known, why: on one line."""
        return ": ".join(filter(None, (self.message, self.why)))

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with ``args`` alone, which loses the keywords.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[SQSError], args: tuple[Any, ...], state: dict[str, Any]) -> SQSError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class SQSBatchError(SQSError):
    """Some entries of a batch were refused; all others were sent.

    Attributes
    ----------
    errors :
        One mapping for each failed entry: ``Id``, ``Code``, ``Message`` and ``SenderFault`` as SQS
        gave them, and under ``_message`` the entry that failed, as it was to be sent.
    """

    def __init__(self, message: str, errors: Sequence[Mapping[str, Any]], **keywords: Any) -> None:
        super().__init__(message, **keywords)
        self.errors = list(errors)


class SettingsError(SQSError):
    """A setting, an option or a file cannot be used as it is."""


class AppLoadError(SQSError):
    """An app path or a plugin cannot be loaded.

    Attributes
    ----------
    meant :
        The app path that was probably meant; None where nobody can tell.
    """

    def __init__(
        self, message: str, *, meant: str | None = None, next: str | None = None, **keywords: Any
    ) -> None:
        if meant is not None and next is None:
            next = f"sqsw work {meant}"
        super().__init__(message, next=next, **keywords)
        self.meant = meant


class QueueNotFound(SQSError):
    """There is no queue of this name in this region and account."""


class TaskNotFound(SQSError):
    """A job has no processor here."""


class TaskAlreadyRegistered(SQSError):
    """Two functions were registered for the same job of the same queue."""


class UnboundTask(SQSError):
    """A task of a :class:`~sqsw.registry.TaskRegistry` was used before an environment took it."""


class ContentTypeRefused(SQSError):
    """A content type that has no codec, or that this queue does not accept."""


class DecodeError(SQSError):
    """A message cannot be read as a job: an attribute is missing, or the body is broken."""


class JobTimeout(SQSError):
    """A job ran longer than its time limit."""

    def __init__(
        self, message: str = "the job ran longer than its time limit", **keywords: Any
    ) -> None:
        super().__init__(message, **keywords)


class JobNotStarted(SQSError):
    """The worker cannot start a job now: its process, thread or event loop is not available.

    The job has not failed. Its message goes back unrun, and the worker stops receiving until it can
    start jobs again.
    """

    @classmethod
    def of(cls, error: BaseException) -> "JobNotStarted":
        """Return this error as the reason why a job was not started."""
        if isinstance(error, cls):
            return error
        made = cls("jobs cannot be started", why=f"{type(error).__name__}: {error}")
        made.__cause__ = error
        return made


class MessageRefused(SQSError):
    """SQS would refuse this message, so it was not sent."""


class RedriveError(SQSError):
    """Dead letters cannot be moved."""


class Busy(SQSError):
    """Somebody else is at it, or SQS asks to wait; the same call may work later."""


class AccessDenied(SQSError):
    """No credentials, expired credentials, or a permission that is missing."""


class ConnectionFailed(SQSError):
    """The service could not be reached."""


class UnexpectedAnswer(SQSError):
    """The endpoint answered, but not as SQS does: a captive portal, a proxy or another service."""
