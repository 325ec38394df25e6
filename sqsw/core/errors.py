"""Every error that sqsw raises by itself.

The fields of an error are keywords of its constructor. Each is None if it is not known. ``queue``,
``job`` and ``dead_letter_queue`` are names without prefix; ``similar`` is one that was probably
meant.

::

    SQSError
    ├── SQSBatchError          some entries of a batch were refused
    ├── SettingsError          a setting, an option or a file cannot be used
    │   ├── NoRegion           no AWS region is set
    │   └── BadEndpoint        the address of the service is not a URL
    ├── AppLoadError           an app or a plugin cannot be loaded
    ├── QueueNotFound          no queue of this name
    ├── QueueDiffers           the queue exists with other settings
    ├── TaskNotFound           no processor for this job
    ├── TaskAlreadyRegistered  two functions want one job name
    ├── ScheduleNotFound       no schedule of this name
    ├── UnboundTask            a task of a registry that no environment has taken yet
    ├── ContentTypeRefused     a content type that is unknown or not accepted
    ├── DecodeError            a message that cannot be read as a job
    ├── JobTimeout             a job ran longer than its time limit
    ├── ProcessKilled          a job ended the process that it ran in
    ├── JobNotStarted          a job could not be started, so it goes back unrun
    ├── MessageRefused         a message that SQS would refuse: size, characters, attributes
    ├── RedriveError           dead letters cannot be moved
    ├── Busy                   try again later
    ├── AccessDenied           no credentials, expired ones, or not enough permission
    ├── ConnectionFailed       the service cannot be reached
    └── UnexpectedAnswer       the endpoint answered, but not as SQS does
"""

import errno
from collections.abc import Mapping, Sequence
from typing import Any, Literal, dataclass_transform

EndpointReason = Literal["characters", "scheme", "user_info", "port"]


def _positional(*, default: str, kw_only: Literal[False]) -> str:
    return default


@dataclass_transform(kw_only_default=True, field_specifiers=(_positional,))
class _Fields(Exception):
    """Makes a keyword of the constructor of each annotated field, as a dataclass does.

    ``dataclasses`` itself would double the time of this import, which every command pays.
    """

    def __init__(self, message: str = "", **fields: Any) -> None:
        for name in fields:
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
        super().__init__(message)
        vars(self).update(fields, message=message)
        # A traceback shows them too: the cause and the cure are half of the message.
        for word in ("why", "next"):
            if text := getattr(self, word):
                self.add_note(f"  {word + ':':5} {text}")


class SQSError(_Fields):
    """The root of all errors of sqsw, and the error for what the service refused.

    Parameters
    ----------
    message :
        What happened, with the names involved. ``str(error)`` is this text.
    reason :
        Which case of its class this is, as a word for programs; None if the class says it all.
    why :
        The cause as far as it is known.
    next :
        A change that would help.
    code :
        The error code of SQS, if SQS sent one.
    """

    message: str = _positional(default="", kw_only=False)
    reason: str | None = None
    why: str | None = None
    next: str | None = None
    code: str | None = None

    @property
    def summary(self) -> str:
        """What happened and, if it is known, why: on one line."""
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
    """A setting, an option or a file cannot be used as it is.

    Attributes
    ----------
    setting, value, bounds :
        The parameter, its value, and the lowest and the highest value that it can have.
    suggested :
        A value that can be used instead.
    """

    reason: (
        EndpointReason
        | Literal[
            "argument_type",
            "arguments",
            "group_slots",
            "key_and_no_auth",
            "memory",
            "no_key",
            "no_source_name",
            "no_wait",
            "one_queue",
            "other_region",
            "parking",
            "parking_settings",
        ]
        | None
    ) = None
    setting: str | None = None
    value: object = None
    bounds: tuple[float, float | None] | None = None
    suggested: str | None = None


class NoRegion(SettingsError):
    """Neither the code nor the environment nor the AWS profile sets a region."""


class BadEndpoint(SettingsError):
    """The address of the service is not a URL; ``url`` is without user name and password."""

    reason: EndpointReason | None = None
    url: str | None = None


class AppLoadError(SQSError):
    """An app path or a plugin cannot be loaded; ``meant`` is the path probably meant."""

    reason: Literal["plugin", "raised", "django"] | None = None
    meant: str | None = None


class QueueNotFound(SQSError):
    """There is no queue of this name in this region and account.

    Attributes
    ----------
    reason :
        ``parking`` if the parking queue is missing, which needs a retention of 14 days.
    location :
        The embedded SQS that was asked.
    account :
        The other account that was asked, if the queue was named by an ARN.
    """

    reason: Literal["parking"] | None = None
    queue: str | None = None
    location: str | None = None
    account: str | None = None
    similar: str | None = None


class QueueDiffers(SQSError):
    """A queue exists with other settings, and it was not asked to change them."""

    queue: str | None = None


class TaskNotFound(SQSError):
    """A job, or any job of a queue, has no processor; ``source`` has those of its dead letters."""

    reason: Literal["job", "queue", "dead_letters"] | None = None
    queue: str | None = None
    job: str | None = None
    similar: str | None = None
    source: str | None = None


class ScheduleNotFound(SQSError):
    """The environment has no schedule of this name."""

    schedule: str | None = None
    similar: str | None = None


class TaskAlreadyRegistered(SQSError):
    """Two functions were registered for the same job of the same queue."""

    reason: Literal["plugin"] | None = None


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


class ProcessKilled(SQSError):
    """A job ended the process that it ran in.

    Attributes
    ----------
    exit_code, memory_bytes :
        The exit code of the process, negative for a signal, and its memory shortly before; None if
        unknown.
    """

    exit_code: int | None = None
    memory_bytes: int | None = None

    @classmethod
    def of(cls, exit_code: int | None, memory_bytes: int | None) -> "ProcessKilled":
        """Return the error for a process that ended like this."""
        text = "the process of the job ended before the job did"
        if exit_code is not None:
            text += f": {signal_name(exit_code) or f'exit code {exit_code}'}"
        if memory_bytes is not None:
            text += f", with {memory_bytes / 1_000_000:.0f} MB of memory"
        return cls(
            text,
            why="the job crashed, called os._exit(), or used too much memory",
            next="run the job with faulthandler, and watch its memory",
            exit_code=exit_code,
            memory_bytes=memory_bytes,
        )


def signal_name(exit_code: int | None) -> str | None:
    """Return the name of the signal that ended a process; None if it was no known signal."""
    import signal

    try:
        return signal.Signals(-exit_code).name if exit_code is not None else None
    except ValueError:
        return None


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
    """SQS would refuse this message, so it was not sent; ``delay`` is in seconds."""

    reason: Literal["delay_on_fifo", "needs_deduplication_id", "needs_parking"] | None = None
    queue: str | None = None
    delay: int | None = None


class RedriveError(SQSError):
    """Dead letters cannot be moved out of ``queue``."""

    reason: Literal["failed", "no_target", "not_dead_letters", "not_running"] | None = None
    queue: str | None = None
    dead_letter_queue: str | None = None


class Busy(SQSError):
    """Another program, or a move of SQS, is using it; the same call can work later."""

    reason: Literal["file", "move", "port"] | None = None
    queue: str | None = None


class AccessDenied(SQSError):
    """No credentials, expired ones, or no permission for ``action`` on the ARN ``resource``."""

    reason: Literal["no_credentials", "not_fetched", "expired", "wrong_key", "denied"] | None = None
    action: str | None = None
    resource: str | None = None


class ConnectionFailed(SQSError):
    """The service could not be reached; ``url`` is without user name and password.

    With the reason ``no_answer``, it got the request, or a part of it, and may have served it.
    """

    reason: Literal["refused", "no_answer"] | None = None
    url: str | None = None


class UnexpectedAnswer(SQSError):
    """The endpoint answered, but not as SQS does: a captive portal, a proxy or another service."""


def not_listening(
    error: OSError, host: str, port: int, reason: Literal["port"] | None = None
) -> SQSError:
    """Return the error for an address on which the system does not let this process listen."""
    if error.errno == errno.EADDRINUSE:
        return Busy(
            f"port {port} of {host} is in use by another program",
            reason=reason,
            why="only one program can listen on a port",
            next="stop it, use another port, or a free one: port=0",
        )
    return SettingsError(
        f"cannot listen on port {port} of {host}",
        why=error.strerror or str(error),
        next="name another address; 127.0.0.1 is this machine alone",
    )
