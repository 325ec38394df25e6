"""``sqsw create-queue``: a queue and its dead-letter queue, or all queues of an app."""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_RETENTION_SECONDS
from sqsw.core.redrive_policy import DEFAULT_MAX_RECEIVES
from sqsw.core.wording import counted, format_duration, nearest
from sqsw_cli.command import Command
from sqsw_cli.environment import has_plugins, opened
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.global_options import is_typed
from sqsw_cli.options.new_queues import (
    DELAY,
    RETENTION,
    VISIBILITY_TIMEOUT,
    attributes_of,
    settings_of_file,
)
from sqsw_cli.options.shared import accepted_yes_option, app_options, dry_run_option
from sqsw_cli.options.types import KEY_VALUE, QUEUE
from sqsw_cli.output.printer import Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_manage.describe import QueueReport

EXAMPLES = """
sqsw create-queue emails --dlq emails_dead
sqsw create-queue --fifo --dlq orders_dead      # orders.fifo and orders_dead.fifo
sqsw create-queue reports --visibility-timeout 2m --retention 14d --tag team=data
sqsw create-queue emails --dlq emails_dead --max-receives 3 --update
sqsw create-queue --app myapp.tasks:env         # every queue of an app
sqsw create-queue parked --parking              # for delays of more than 15 minutes
"""

#: Options that do not fit a parking queue, which is a standard queue and keeps jobs for 14 days.
_NOT_OF_PARKING = (
    *("fifo", "dlq", "max_receives", "retention", "delay"),
    *("content_dedup", "high_throughput"),
)

#: Options for one queue; for the queues of an app, the file has these settings.
_OF_ONE_QUEUE = (
    *("fifo", "dlq", "max_receives", "visibility_timeout", "retention", "delay"),
    *("content_dedup", "high_throughput", "kms", "attributes", "parking"),
)

_CHANGED = ("created", "updated")


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("name", required=False, type=QUEUE)
@click.option("--fifo", is_flag=True, help="Create a FIFO queue; adds .fifo to both names.")
@click.option(
    "--dlq",
    metavar="NAME",
    type=QUEUE,
    help="Dead-letter queue; created with a retention of 14d if missing.",
)
@click.option(
    "--max-receives",
    metavar="N",
    type=click.IntRange(1, 1000),
    help="Receives before a message goes to the dead-letter queue (12).",
)
@click.option(
    "--visibility-timeout",
    metavar="D",
    type=VISIBILITY_TIMEOUT,
    help="Visibility timeout, 0 to 12h (30s).",
)
@click.option(
    "--retention",
    metavar="D",
    type=RETENTION,
    help="Retention of messages, 1m to 14d (4d).",
)
@click.option("--delay", metavar="D", type=DELAY, help="Delay of every message, 0 to 15m (0).")
@click.option("--content-dedup", is_flag=True, help="FIFO: deduplicate messages by their body.")
@click.option(
    "--high-throughput",
    is_flag=True,
    help="FIFO: apply deduplication and throughput limits per message group.",
)
@click.option(
    "--parking",
    is_flag=True,
    help="Create a parking queue, for long delays: retention 14d, no dead-letter queue.",
)
@click.option("--kms", metavar="KEY", help="KMS key ID or alias (key managed by SQS).")
@click.option(
    "--tag",
    "tags",
    metavar="K=V",
    type=KEY_VALUE,
    multiple=True,
    help="Tag of every queue. Repeatable.",
)
@click.option(
    "--attribute",
    "attributes",
    metavar="K=V",
    type=KEY_VALUE,
    multiple=True,
    help="SQS attribute by its AWS name; wins over the other options. Repeatable.",
)
@click.option("--update", is_flag=True, help="Change an existing queue that has other settings.")
@dry_run_option("Print what would be done.")
@app_options
@accepted_yes_option
@click.pass_context
def create_queue(
    ctx: click.Context,
    name: str | None,
    fifo: bool,
    dlq: str | None,
    max_receives: int | None,
    visibility_timeout: int | None,
    retention: int | None,
    delay: int | None,
    content_dedup: bool,
    high_throughput: bool,
    parking: bool,
    kms: str | None,
    tags: Sequence[tuple[str, str]],
    attributes: Sequence[tuple[str, str]],
    update: bool,
    dry_run: bool,
    app: Sequence[str],
    no_plugins: bool,
) -> None:
    """Create a queue and its dead-letter queue, or all queues of an app.

    Without NAME, the name is that of the dead-letter queue without its ending, such as _dead or
    -dlq. Without NAME and --dlq, creates every queue for which the app has jobs, for each of them
    NAME_dead, and the parking queue of the app. [queues.NAME] in the configuration file has their
    settings.

    If a queue exists with the same settings, nothing happens. If it has other settings, the command
    fails and changes nothing, unless --update is given.
    """
    from sqsw.sqs_manage import checks, create

    invocation = ctx.find_object(Invocation) or Invocation()
    if parking:
        _refuse_with_parking(ctx, name)
    if name is None and dlq is None and (app or (has_plugins() and not no_plugins)):
        _create_all(ctx, invocation, app, dict(tags), plugins=not no_plugins)
        return
    if is_typed(ctx, "app"):
        raise SettingsError(
            f"--app and {'NAME' if name is not None else '--dlq'} cannot be used together",
            why="--app creates all queues of an app",
            next="leave out one of them",
        )
    if max_receives is not None and dlq is None:
        raise SettingsError("--max-receives needs --dlq", next="add --dlq NAME")
    queue_name, dead_letter_queue = _names(name, dlq, fifo=fifo or content_dedup or high_throughput)
    asked = attributes_of(
        visibility_timeout=visibility_timeout,
        retention=retention,
        delay=delay,
        content_dedup=content_dedup,
        high_throughput=high_throughput,
        kms=kms,
    )
    common: dict[str, Any] = {
        "attributes": {**asked, **dict(attributes)},
        "tags": dict(tags),
        "update": update,
        "dry_run": dry_run,
    }
    with opened(invocation) as env:
        if parking:
            report = create.create_parking_queue(env, queue_name, **common)
            _show(invocation.printer, [report], _park_in(report))
            return
        reports = create.create_queue(
            env,
            queue_name,
            dead_letter_queue=dead_letter_queue,
            max_receives=max_receives,
            **common,
        )
    last = reports[-1]
    _show(invocation.printer, reports, _send_to(last) if last.action in _CHANGED else None)
    if max_receives == 1:
        is_there = reports[-1].action != "would_create"
        cure = f"--max-receives {DEFAULT_MAX_RECEIVES}{' --update' if is_there else ''}"
        invocation.printer.advise(
            f"{queue_name} allows one receive", checks.NO_SECOND_RECEIVE, cure
        )


def _refuse_with_parking(ctx: click.Context, name: str | None) -> None:
    if name is None:
        raise SettingsError("--parking needs NAME", next="sqsw create-queue parked --parking")
    for option in _NOT_OF_PARKING:
        if not is_typed(ctx, option):
            continue
        written = f"--{option.replace('_', '-')}"
        if option == "retention" and ctx.params[option] == MAX_RETENTION_SECONDS:
            continue
        raise SettingsError(
            f"{written} and --parking cannot be used together",
            why="a parking queue is a standard queue that keeps messages for 14d and has neither "
            "a dead-letter queue nor a delay",
            next=f"leave out {written}",
        )


def _create_all(
    ctx: click.Context,
    invocation: Invocation,
    apps: Sequence[str],
    tags: Mapping[str, str],
    *,
    plugins: bool,
) -> None:
    """Create all queues of an app and of the installed plugins."""
    from sqsw.sqs_manage import create

    for option in _OF_ONE_QUEUE:
        if is_typed(ctx, option):
            written = "--" + option.removesuffix("s" if option == "attributes" else "").replace(
                "_", "-"
            )
            raise SettingsError(
                f"{written} cannot be used with --app",
                why="each queue of an app has its own settings",
                next="set it in [queues.NAME] of sqsw.toml, or create one queue: "
                f"sqsw create-queue NAME {written} …",
            )
    settings = settings_of_file(invocation.config)
    with opened(invocation, apps, plugins=plugins) as env:
        names = sorted({registration.queue_name for registration in env.registrations()})
        if not names:
            raise SettingsError(
                "no jobs are registered, so there are no queues to create",
                why="the queues of an app are those that it has jobs for",
                next="name an app that registers jobs: sqsw create-queue --app myapp.tasks:env",
            )
        parking = [env.parking_queue] if env.parking_queue is not None else []
        reports = create.create_queues(
            env,
            [*names, *parking],
            settings,
            tags=tags,
            update=ctx.params["update"],
            dry_run=ctx.params["dry_run"],
        )
    for name in sorted(settings.keys() - {report.name for report in reports}):
        meant = nearest(name, names)
        invocation.printer.advise(
            f"the settings of the queue {name!r} are not used",
            why="the app has no jobs for it",
            next=f"did you mean {meant!r}?" if meant else None,
        )
    changed = any(report.action in _CHANGED for report in reports)
    words = ["sqsw", "work", *(apps[:1] if is_typed(ctx, "app") else ())]
    _show(invocation.printer, reports, shlex.join(words) if changed else None)


def _park_in(report: "QueueReport") -> str | None:
    if report.action not in _CHANGED:
        return None
    return f"SQSW_PARKING={shlex.quote(report.name)} sqsw send QUEUE JOB key=value --delay 3d"


def _send_to(report: "QueueReport") -> str:
    by_body = report.attributes.get("ContentBasedDeduplication") == "true"
    more = " --dedup-id ID" if report.fifo and not by_body else ""
    return f"sqsw send {report.name} JOB key=value{more}"


def _names(name: str | None, dlq: str | None, *, fifo: bool) -> tuple[str, str | None]:
    from sqsw.sqs_manage.create import queue_name_from_dead_letter_queue

    if name is None and dlq is None:
        raise SettingsError(
            "no queue is named, and no app is configured",
            why="the queue to create is NAME, the source of --dlq, or each queue of an app",
            next="sqsw create-queue emails --dlq emails_dead, or sqsw create-queue --app APP",
        )
    fifo = fifo or any(word is not None and word.endswith(".fifo") for word in (name, dlq))
    name = name or queue_name_from_dead_letter_queue(dlq or "")
    names = [
        word if word is None or not fifo or word.endswith(".fifo") else f"{word}.fifo"
        for word in (name, dlq)
    ]
    return str(names[0]), names[1]


def _show(printer: Printer, reports: "Sequence[QueueReport]", next_command: str | None) -> None:
    if printer.as_json:
        for report in reports:
            printer.json("queue", values_of(report))
    elif printer.terminal:
        actions = [(report.action or "").replace("_", " ") for report in reports]
        name_width = max((len(report.name) for report in reports), default=0)
        action_width = max(map(len, actions), default=0)
        for report, action in zip(reports, actions, strict=True):
            # Not a table: it would cut the settings, which are why a person looks here.
            start = f"✓ {report.name:<{name_width}}  {action:<{action_width}}"
            printer.tell(f"{start}  {_settings(report)}")
        if next_command is not None:
            printer.next(next_command)
    else:
        for report in reports:
            printer.plain("created", report.name, report.action, report.url)


def _settings(report: "QueueReport") -> str:
    attributes = report.attributes
    parts = ["FIFO"] if report.fifo else []
    if report.dlq:
        parts.append(f"after {counted(report.max_receives or 0, 'receive')} to {report.dlq}")
    # Workers usually do not read a dead-letter queue, so its visibility timeout does not matter.
    if "VisibilityTimeout" in attributes and not report.sources:
        parts.append(f"visibility timeout {format_duration(int(attributes['VisibilityTimeout']))}")
    if "MessageRetentionPeriod" in attributes:
        parts.append(f"keeps {format_duration(int(attributes['MessageRetentionPeriod']))}")
    if int(attributes.get("DelaySeconds", 0)):
        parts.append(f"delay {format_duration(int(attributes['DelaySeconds']))}")
    return " · ".join(parts)
