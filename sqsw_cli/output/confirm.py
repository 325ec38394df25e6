"""Confirmation before messages or queues are deleted."""

import sys
from collections.abc import Sequence

from sqsw.core.wording import safe
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure
from sqsw_cli.terminal import ask, columns_of, wrapped


class NotConfirmed(Failure):
    def __init__(self) -> None:
        super().__init__("not confirmed: nothing was done", code="not_confirmed")


def type_the_name(name: str, warning: Sequence[str], refusal: str) -> None:
    columns = columns_of(sys.stderr)
    lines = [wrapped(safe(line), columns) for line in warning]
    answer = ask("\n".join([*lines, "Type the queue name to continue: "]))
    if answer is None:
        raise _needs_yes(refusal)
    if answer != name:
        raise NotConfirmed


def yes_or_no(question: str, refusal: str) -> None:
    answer = ask(f"{safe(question)} [y/N]: ")
    if answer is None:
        raise _needs_yes(refusal)
    if answer.lower() not in ("y", "yes"):
        raise NotConfirmed


def confirm_lost_jobs(name: str, which: str) -> None:
    """Ask once more before parked jobs are deleted, because they exist nowhere else."""
    yes_or_no(
        f"{name} is a parking queue: its jobs have not run yet, and no other queue has them. "
        f"Delete {which}?",
        f"{name!r} is a parking queue, and deleting its jobs needs confirmation",
    )


def _needs_yes(refusal: str) -> Failure:
    return Failure(
        refusal,
        why="there is no terminal to ask on",
        next="add --yes if this is intended",
        code="usage",
        exit_code=Exit.USAGE,
    )
