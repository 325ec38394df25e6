"""``sqsw doctor``: find out why a worker gets no jobs."""

import json
import platform
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from sqsw.core.errors import (
    AppLoadError,
    SettingsError,
    SQSError,
    TaskAlreadyRegistered,
    TaskNotFound,
)
from sqsw.core.wording import counted
from sqsw_cli.command import Command
from sqsw_cli.completing.values import complete_queue
from sqsw_cli.environment import is_local, opened
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import writing
from sqsw_cli.errors.hints import explained, hint_of, queue_hint
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.shared import app_options, yes_option
from sqsw_cli.options.types import QUEUE
from sqsw_cli.output.confirm import yes_or_no
from sqsw_cli.output.notices import notices_to
from sqsw_cli.output.printer import Printer
from sqsw_cli.version import version_of

if TYPE_CHECKING:
    from sqsw.memory_sqs import LocalSession
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.checks import Check

EXAMPLES = """
sqsw doctor
sqsw doctor emails --app myapp.tasks:env --sample 50
sqsw doctor --policy emails > policy.json
"""

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "skip": ("-", None)}
_BY_WEIGHT = ("fail", "warn", "ok", "skip")

#: how the frequent calls reach SQS
_WAYS = {
    "direct": "in this process, to the embedded SQS (direct)",
    "wire": "over connections of sqsw itself (wire)",
    "boto3": "through boto3",
}


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, type=QUEUE, shell_complete=complete_queue)
@app_options
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=1),
    help="Check whether the app can run N messages of each queue.",
)
@click.option("--policy", is_flag=True, help="Print the minimal IAM policy for work and send.")
@click.option("--strict", is_flag=True, help="Exit 8 for warnings too.")
@yes_option
@click.pass_obj
def doctor(
    invocation: Invocation,
    queues: Sequence[str],
    app: Sequence[str],
    no_plugins: bool,
    sample: int | None,
    policy: bool,
    strict: bool,
    yes: bool,
) -> int:
    """Find out why a worker gets no jobs: check credentials, app, queues and queued messages.

    Without QUEUE, checks the queues with registered jobs, or all queues if no jobs are registered.
    Shows one line per queue if all is well; -v shows every check.
    """
    if policy:
        _print_policy(invocation, queues, app, plugins=not no_plugins)
        return Exit.OK
    report = _Report(invocation.printer, shows_all=invocation.verbose > 0)
    report.add("versions", "ok", _versions())
    config = invocation.config.path if invocation.config else None
    report.add("configuration", "ok" if config else "skip", str(config or "no file"))
    with ExitStack() as stack:
        env = _open(stack, report, invocation, app, plugins=not no_plugins)
        if _check_place(report, invocation, env):
            for queue in _queues(env, queues):
                _check_queue(report, env, queue, sample, yes=yes)
    return report.end(strict=strict)


class _Report:
    """Shows checks.

    Parameters
    ----------
    shows_all :
        Whether a person sees every check of a queue, or only what is wrong with it.
    """

    def __init__(self, printer: Printer, *, shows_all: bool) -> None:
        self.printer = printer
        self.shows_all = shows_all
        self.counts = dict.fromkeys(_SIGNS, 0)

    def show_queue(self, queue: str, checks: "Sequence[Check]") -> None:
        """Show the checks of one queue: on a terminal as a group, or in one line if all is well."""
        for check in checks:
            self.counts[check.status] += 1
            if not self.printer.terminal:
                self._show(check.name, check.status, check.detail, _hint(check), queue)
        if not self.printer.terminal:
            return
        worst = next(status for status in _BY_WEIGHT if status in {one.status for one in checks})
        if len(checks) == 1:  # it cannot be read
            self._line(worst, f"{queue}: {checks[0].detail}", _hint(checks[0]))
            return
        self._line(worst, f"{queue}: {_summary(checks)}")
        for check in checks:
            if self.shows_all or check.status in ("warn", "fail"):
                what = check.name.removeprefix(queue).removeprefix(": ") or "queue"
                self._line(check.status, f"{what}: {check.detail}", _hint(check), indent="    ")

    def add(self, name: str, status: str, detail: str, hint: str | None = None) -> None:
        self.counts[status] += 1
        self._show(name, status, detail, hint)

    def _show(
        self, name: str, status: str, detail: str, hint: str | None, queue: str | None = None
    ) -> None:
        if self.printer.as_json:
            values = {"name": name, "status": status, "detail": detail, "hint": hint}
            self.printer.json("check", {**values, "queue": queue})
        elif self.printer.terminal:
            self._line(status, f"{name}: {detail}", hint)
        else:
            self.printer.plain("check", status, name, detail, hint)

    def _line(self, status: str, text: str, hint: str | None = None, *, indent: str = "") -> None:
        sign, shade = _SIGNS[status]
        self.printer.signed(f"{indent}{sign}", shade, f"{status:<4}  {text}")
        if hint:
            self.printer.say(f"{indent}        next: {hint}")

    def end(self, *, strict: bool) -> int:
        failed, warned = self.counts["fail"], self.counts["warn"]
        self.printer.note(f"{counted(failed, 'failure')}, {counted(warned, 'warning')}")
        return Exit.CHECK if failed or (strict and warned) else Exit.OK


def _hint(check: "Check") -> str | None:
    return hint_of(check.error) if check.error else queue_hint(check)


def _summary(checks: "Sequence[Check]") -> str:
    """Summarize the checks of one queue, and what people most often look for."""
    bad = sum(check.status in ("warn", "fail") for check in checks)
    if bad:
        return f"{bad} of {counted(len(checks), 'check')} found a problem"
    details = {check.name.rpartition(": ")[2]: check.detail for check in checks}
    retries = details.get("retries")
    rest = f"retries jobs {retries}" if retries else details["dead letters"]
    if "oldest job" in details:
        rest = f"oldest job: {details['oldest job']}"
    return f"{counted(sum(one.status == 'ok' for one in checks), 'check')} passed, {rest}"


def _versions() -> str:
    names = ("sqsw", "boto3", "click", "structlog")
    python = platform.python_version()
    return ", ".join([f"Python {python}", *(f"{name} {version_of(name)}" for name in names)])


def _open(
    stack: ExitStack, report: _Report, invocation: Invocation, apps: Sequence[str], *, plugins: bool
) -> "SQSEnv":
    """Return the environment with its jobs, or without them if they cannot be loaded."""
    try:
        env = stack.enter_context(opened(invocation, apps, plugins=plugins))
    except (AppLoadError, SettingsError, TaskAlreadyRegistered, TaskNotFound) as error:
        report.add("app", "fail", error.summary, hint_of(error))
        return stack.enter_context(opened(invocation))
    jobs = Counter(registration.queue_name for registration in env.registrations())
    found = ", ".join(f"{queue} {counted(jobs[queue], 'job')}" for queue in sorted(jobs))
    named = " ".join(apps) or "no app named"
    report.add("app", "ok" if jobs else "skip", f"{named}: {found or 'no jobs registered'}")
    return env


def _check_place(report: _Report, invocation: Invocation, env: "SQSEnv") -> bool:
    try:
        report.add("queues", "ok", f"in {env.location()}")
        if not is_local(env):
            report.add("credentials", "ok", f"from {env.clients.credentials_origin()}")
        elif env.clients.session.path is not None:  # not memory
            _check_file(report, env.clients.session)
        _check_clock(report, env)
        way, reason = env.clients.way
        report.add("calls", "ok", _WAYS[way] if reason is None else f"{_WAYS[way]}: {reason}")
    except SQSError as error:
        told = explained(error, invocation, env)
        report.add("queues", "fail", told.summary, hint_of(told))
        return False
    return True


def _check_clock(report: _Report, env: "SQSEnv") -> None:
    from sqsw.sqs_manage.checks import check_clock

    check = check_clock(env)
    report.add(check.name, check.status, check.detail, _hint(check))


def _check_file(report: _Report, session: "LocalSession") -> None:
    found = session.check_file()
    if not found:
        report.add("file", "ok", "no damage found")
        return
    report.add(
        "file",
        "fail",
        f"the database is damaged: {'; '.join(found)}",
        "stop all programs that use it, move it away, and recover it with 'sqlite3 FILE .recover'",
    )


def _check_queue(
    report: _Report, env: "SQSEnv", queue: str, sample: int | None, *, yes: bool
) -> None:
    from sqsw.app.sampling import check_sample
    from sqsw.sqs_manage.checks import check_queue

    name = env.queue_client(queue).name
    if name == env.parking_queue:  # its jobs are those of other queues
        sample = None
    if sample is not None and not yes and not is_local(env):
        yes_or_no(
            f"Sampling {queue} counts as a receive of each message. Continue?",
            f"a sample of {queue!r} counts as a receive of each message and needs confirmation",
        )
    checks = list(check_queue(env, queue))
    if sample is not None and checks[0].status != "fail":
        notices = notices_to(report.printer, queue)
        checks.append(check_sample(env, queue, sample, on_notice=notices))
    report.show_queue(name, checks)


def _queues(env: "SQSEnv", named: Sequence[str]) -> Sequence[str]:
    if named:
        return named
    registered = sorted({registration.queue_name for registration in env.registrations()})
    if not registered:
        registered = sorted(env.get_all_known_queues())
    parking = env.parking_queue
    return [*registered, parking] if parking and parking not in registered else registered


def _print_policy(
    invocation: Invocation, queues: Sequence[str], app: Sequence[str], *, plugins: bool
) -> None:
    from sqsw.sqs_manage.checks import least_policy

    with opened(invocation, app, plugins=plugins) as env:
        names = _queues(env, queues)
        if not names:
            raise SettingsError("no queue is named", next="sqsw doctor --policy QUEUE")
        if is_local(env):
            invocation.printer.warn(
                "this policy has the region and account of the embedded SQS",
                why=f"the queues are in the {env.location()}",
                next="for AWS, add --local=0",
            )
        policy = json.dumps(least_policy(env, names), indent=2)
        with writing():
            click.echo(policy)
