"""What a message says about its job before it is decoded."""

from typing import NamedTuple

from sqsw.core.jobs.current_job import RunsIn


class JobKey(NamedTuple):
    """What a message says about its job.

    Attributes
    ----------
    name :
        The job name; None if it has none.
    runs_in :
        The executor that its job wants.
    is_registered :
        Whether it has a processor.
    max_attempts :
        Attempts that its processor allows; None if it has no limit of its own.
    """

    name: str | None
    runs_in: RunsIn = "thread"
    is_registered: bool = True
    max_attempts: int | None = None
