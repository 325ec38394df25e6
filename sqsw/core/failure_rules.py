"""When to stop retrying a failed job, and what to record about it."""

from dataclasses import dataclass
from typing import TypedDict

from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.settings import check_bounds

#: one exception class, or several
Errors = type[BaseException] | tuple[type[BaseException], ...]


class FailureOptions(TypedDict, total=False):
    """The keyword options of an environment and of a queue; see :class:`FailureRules`."""

    max_attempts: int | None
    give_up_on: Errors
    explain_text: bool | None
    retry_in_place: float | None


@dataclass(frozen=True, slots=True)
class FailureRules:
    """When to stop retrying a failed job of a queue, and what to record about it.

    Attributes
    ----------
    max_attempts :
        Attempts of one job, at least 1; None: the number of receives that the queue allows.
    give_up_on :
        A job that raises one of these errors is not retried.
    explain_text :
        Whether the record in the dead-letter queue contains the text of the error and its
        traceback, which can contain personal data; None: it does.
    retry_in_place :
        The longest backoff, in seconds, for which a worker keeps a failed job and the jobs behind
        it in its message group, 0 to 43200; None: five minutes. FIFO queues only.

    Raises
    ------
    SettingsError
        A number is out of its range, or ``give_up_on`` is not made of exception classes.
    """

    max_attempts: int | None = None
    give_up_on: Errors = ()
    explain_text: bool | None = None
    retry_in_place: float | None = None

    def __post_init__(self) -> None:
        check_bounds("max_attempts", self.max_attempts, 1)
        check_bounds("retry_in_place", self.retry_in_place, 0, MAX_VISIBILITY_TIMEOUT_SECONDS)
        check_errors(self.give_up_on)

    def over(self, other: "FailureRules") -> "FailureRules":
        """Return these rules, completed by the others. The errors of both count."""
        return FailureRules(
            other.max_attempts if self.max_attempts is None else self.max_attempts,
            (*_listed(self.give_up_on), *_listed(other.give_up_on)),
            other.explain_text if self.explain_text is None else self.explain_text,
            other.retry_in_place if self.retry_in_place is None else self.retry_in_place,
        )


def check_errors(errors: object) -> None:
    """Refuse anything but an exception class or a tuple of exception classes.

    Raises
    ------
    SettingsError
        ``errors`` is something else.
    """
    for each in errors if isinstance(errors, tuple) else (errors,):
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise SettingsError(
                f"give_up_on has {each!r}, which is not an exception class",
                next="give_up_on=(ValueError, …)",
            )


def _listed(errors: Errors) -> tuple[type[BaseException], ...]:
    return errors if isinstance(errors, tuple) else (errors,)


DEFAULT_RULES = FailureRules()
