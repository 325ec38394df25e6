"""Schedules: which jobs are sent repeatedly, and when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from sqsw.core.arguments import describe_mismatch, signature_of
from sqsw.core.errors import SettingsError
from sqsw.core.job_metadata import JobMetadata, is_job_id, new_job_id
from sqsw.core.times import format_instant
from sqsw.schedule.rules import CronRule, EveryRule, Rule
from sqsw.transport.batches import Entry
from sqsw.transport.names import is_fifo

#: What to do with a tick that starts when the next one is due: run it late, or drop it.
Overlap = Literal["wait", "skip"]

#: the parameter that gets the instant of a tick
AT = "at"


class PackTick(Protocol):
    """Makes the entry of a job for its queue; see :meth:`sqsw.JobQueue.pack_tick`."""

    def __call__(
        self,
        job_name: str,
        job_kwargs: Mapping[str, Any],
        at: str | None,
        *,
        group_id: str,
        deduplication_id: str,
        metadata: JobMetadata,
    ) -> Entry: ...


@dataclass(frozen=True)
class Schedule:
    """A job that workers send at the instants of a rule.

    Attributes
    ----------
    name :
        The name, which is also the message group of its ticks.
    rule :
        When its ticks are due.
    zone :
        The name of its time zone.
    queue_name, job_name :
        The FIFO queue that its ticks go to, without the prefix, and the job.
    args :
        The arguments of the job.
    takes_at :
        Whether the function has a parameter ``at``, which gets the instant of the tick.
    overlap :
        What happens to a tick that starts when the next one is already due: ``wait`` runs it,
        ``skip`` drops it.
    """

    name: str
    rule: Rule
    zone: str
    queue_name: str
    job_name: str
    args: Mapping[str, Any]
    takes_at: bool
    overlap: Overlap

    @property
    def tz(self) -> tzinfo:
        """The time zone of the rule and of ``at``."""
        return zone_of(self.zone)

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """Return the next ``count`` instants after an aware datetime, in the schedule's zone."""
        found: list[datetime] = []
        moment = after
        for _ in range(count):
            moment = self.rule.next_after(moment)
            found.append(moment.astimezone(self.tz))
        return found

    def entry(self, at: datetime, pack: PackTick) -> Entry:
        """Return the message of a tick.

        All workers give a tick the same deduplication ID, so SQS keeps one of the copies that they
        send within five minutes.

        Parameters
        ----------
        at :
            The instant of the tick, aware.
        pack :
            Makes the entry of the job for its queue.

        Raises
        ------
        MessageRefused
            SQS would refuse the message, the codec cannot encode an argument, or a middleware
            refused it.
        """
        instant = format_instant(at)
        return pack(
            self.job_name,
            self.args,
            at.astimezone(self.tz).isoformat(timespec="seconds") if self.takes_at else None,
            group_id=self.name,
            deduplication_id=sha256(f"{self.name} {instant}".encode()).hexdigest(),
            metadata=JobMetadata(new_job_id(), schedule=self.name, at=instant),
        )


def rule_of(cron: str | None, every: timedelta | float | None, tz: tzinfo) -> Rule:
    """Return the rule of a schedule.

    Raises
    ------
    SettingsError
        Both or neither of ``cron`` and ``every`` are given, or the value is not valid.
    """
    if (cron is None) == (every is None):
        raise SettingsError(
            "a schedule needs a cron expression or an interval",
            why="both were given" if every is not None else "neither was given",
            next="write periodic('0 3 * * *', queue=…), or periodic(every=300, queue=…)",
        )
    return EveryRule(every) if every is not None else CronRule(cron or "", tz)


def zone_name(tz: "str | tzinfo") -> str:
    """Return the name of a time zone, given as a name or a ``ZoneInfo``.

    Raises
    ------
    SettingsError
        It is neither, or there is no time zone with this name.
    """
    name = tz if isinstance(tz, str) else getattr(tz, "key", None)
    if tz is UTC:
        name = "UTC"
    if not isinstance(name, str):
        raise SettingsError(
            f"{tz!r} cannot be the time zone of a schedule",
            why="it has no name of the IANA database",
            next="write it like tz='Europe/Berlin'",
            setting="tz",
            value=tz,
        )
    zone_of(name)
    return name


def zone_of(name: str) -> tzinfo:
    """Return the time zone with this name; ``UTC`` exists on every system.

    Raises
    ------
    SettingsError
        There is no such time zone, or the system has no time zone database.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise SettingsError(
            f"there is no time zone {name!r}",
            why="neither the system nor the package tzdata has it",
            next="write it like 'Europe/Berlin'; if the system has no time zones: "
            "pip install tzdata",
            setting="tz",
            value=name,
        ) from error


def check_place(name: str, queue_name: str, takes_lists: bool) -> None:
    """Raise if a schedule cannot have this name or this queue.

    Raises
    ------
    SettingsError
        The name cannot be a message group, or the queue is not a FIFO queue or takes lists.
    """
    if not is_job_id(name):
        raise SettingsError(
            f"a schedule cannot have the name {name!r}",
            why="the name is the message group of its ticks: 1 to 128 printable ASCII characters "
            "without spaces",
            next="write another one, as in periodic(…, name='nightly')",
            setting="name",
            value=name,
        )
    if not is_fifo(queue_name):
        raise SettingsError(
            f"the schedule {name!r} cannot send to {queue_name!r}",
            why="every worker sends each tick, and only a FIFO queue keeps a single copy",
            next="use a queue whose name ends in .fifo, such as cron.fifo",
            setting="queue",
            value=queue_name,
        )
    if takes_lists:
        raise SettingsError(
            f"the schedule {name!r} cannot send to {queue_name!r}",
            why="its functions take lists of jobs, and a list could have two ticks",
            next="use a queue without a batching policy",
            setting="queue",
            value=queue_name,
        )


def check_options(name: str, overlap: object, catch_up: object) -> None:
    """Refuse options with unknown values.

    Raises
    ------
    SettingsError
        ``overlap`` is neither ``wait`` nor ``skip``, or ``catch_up`` is not ``skip``.
    """
    for setting, value, known in [
        ("overlap", overlap, ("wait", "skip")),
        ("catch_up", catch_up, ("skip",)),
    ]:
        if value not in known:
            raise SettingsError(
                f"the schedule {name!r} cannot have {setting}={value!r}",
                why=f"{setting} can be {' or '.join(map(repr, known))}",
                next=f"write {setting}={known[0]!r}, or leave it out",
                setting=setting,
                value=value,
            )


def takes_at(fn: Callable[..., Any]) -> bool:
    """Return whether a function has a parameter ``at``."""
    return AT in signature_of(fn).parameters


def check_args(
    name: str,
    fn: Callable[..., Any],
    args: Mapping[str, Any],
    provided: tuple[str, ...],
    *,
    check: bool,
) -> None:
    """Raise if the function of a schedule cannot be called with its arguments.

    Parameters
    ----------
    provided :
        Parameters that the worker provides, such as the job context.
    check :
        Whether the arguments of the job are checked against its function.

    Raises
    ------
    SettingsError
        An argument is missing or unknown, or is ``at``, which the schedule provides.
    """
    problem = None
    if any(not isinstance(key, str) for key in args):
        problem = "the names of arguments must be str"
    elif AT in args and takes_at(fn):
        problem = "at is the instant of each tick, so it cannot be in args"
    elif check:
        problem = describe_mismatch(
            fn, args, provided=(*provided, AT) if takes_at(fn) else provided
        )
    if problem is not None:
        raise SettingsError(
            f"the function of the schedule {name!r} cannot be called with its arguments",
            why=problem,
            next="correct args, as in periodic(…, args={'city': 'Berlin'})",
            setting="args",
            value=dict(args),
        )
