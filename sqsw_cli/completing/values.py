"""Completion of queues, jobs, arguments of jobs, and apps."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from sqsw_cli.invocation import Invocation

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _completes(
    candidates: Callable[[click.Context], Iterable[str]],
) -> _Complete:
    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        try:
            found = list(candidates(ctx))
        except Exception:  # noqa: BLE001  # Tab must not print an error; the command reports it
            return []
        from click.shell_completion import CompletionItem

        return [CompletionItem(one) for one in found if one.startswith(incomplete)]

    return complete


def _queues(ctx: click.Context) -> Iterable[str]:
    from sqsw_cli.completing.queues import queue_names

    typed = ctx.params.get("queues") or ()
    names = queue_names(ctx.find_object(Invocation) or Invocation())
    return [name for name in names if name not in typed]


def _jobs(ctx: click.Context) -> Iterable[str]:
    from sqsw_cli.completing.jobs import remembered_jobs

    return sorted(remembered_jobs(ctx.params.get("queue")))


def _words_of_send(ctx: click.Context) -> Iterable[str]:
    from sqsw_cli.completing.jobs import ANY, remembered_jobs

    words: Sequence[str] = ctx.params.get("words") or ()
    if ctx.params.get("raw"):
        return []
    if not words:
        return _jobs(ctx)
    job, *items = words
    given = {item.partition("=")[0].removesuffix(":") for item in items} | {ANY}
    arguments = remembered_jobs(ctx.params.get("queue")).get(job, [])
    return [f"{name}=" for name in arguments if name not in given]


def _apps(ctx: click.Context) -> Iterable[str]:
    from sqsw_cli.completing.jobs import remembered_apps

    return remembered_apps()


def _schedules(ctx: click.Context) -> Iterable[str]:
    from sqsw_cli.completing.jobs import remembered_schedules

    return remembered_schedules()


#: values for ``shell_complete``
complete_queue = _completes(_queues)
complete_job = _completes(_jobs)
complete_send = _completes(_words_of_send)
complete_app = _completes(_apps)
complete_schedule = _completes(_schedules)
