"""``sqsw work``: run jobs until stopped."""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from sqsw.core.errors import SettingsError
from sqsw.core.safe_logger import log_event
from sqsw.core.settings import QueueSettings, QueueShare, WorkerSettings
from sqsw_cli.command import Command
from sqsw_cli.completing.values import complete_app
from sqsw_cli.environment import is_local, load_env, opened
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure, show
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.new_queues import settings_of_file
from sqsw_cli.options.shared import ALLOW_HOST_HINT, app_options, apps_of
from sqsw_cli.options.work import (
    QueueChoice,
    policy_maker,
    settings_of,
    summary_of,
    without_conflicts,
    work_options,
)
from sqsw_cli.output.records import values_of
from sqsw_cli.terminal import stdout_to_stderr
from sqsw_cli.working import gc_tuning
from sqsw_cli.working.live.view import live_view, wants_view
from sqsw_cli.working.lock import exclusive
from sqsw_cli.working.logs import logs_as_json

if TYPE_CHECKING:
    from sqsw.app.supervised import WorkOrder
    from sqsw.core.reports import WorkerReport
    from sqsw.schedule.schedule import Schedule
    from sqsw.sqs_env import SQSEnv

#: seconds to write the summary: the reader of stdout may be stuck
_SUMMARY_SECONDS = 5.0

EXAMPLES = """
sqsw work myapp.tasks:env --queue emails
sqsw work myapp.tasks:env -Q emails,weight=3 -Q news -Q reports=2 -c 16
sqsw work                                      # the app of pyproject.toml
sqsw work --local --reload myapp.tasks:env     # development, no AWS
sqsw work myapp.tasks:env --until-idle 30 --lock nightly.lock --strict
sqsw work myapp.tasks:env -Q emails_dead --processors-from emails --until-idle 10
sqsw work myapp.tasks:env --processes 4 --recycle jobs=10000,memory=500M
sqsw work myapp.tasks:env --http 0.0.0.0:8080 --drain-timeout 50s
"""


@dataclass(frozen=True)
class _Load:
    """Loads the environment in a worker process, as the command has done; it is pickled."""

    invocation: Invocation
    apps: Sequence[str]
    plugins: bool

    def __call__(self) -> "SQSEnv":
        gc_tuning.rarely()
        if self.invocation.as_json:
            sys.stdout = sys.stderr  # as in the command: stdout is for its summary
        # The command has already warned about broken plugins.
        env = load_env(self.invocation, self.apps, plugins=self.plugins, daemon=True, warns=False)
        gc_tuning.as_usual()
        return env


@dataclass(frozen=True)
class _Choice:
    """Chooses the queues, and creates those that the embedded SQS lacks; it is pickled.

    Attributes
    ----------
    runs_jobs, schedules :
        Whether the worker runs jobs, and whether it sends the ticks of the schedules.
    """

    invocation: Invocation
    choose: QueueChoice
    settings: Mapping[str, QueueSettings]
    runs_jobs: bool
    schedules: bool

    def __call__(self, env: "SQSEnv") -> list[QueueShare]:
        if not self.runs_jobs:
            _refuse_no_schedules(env)
        shares = self.choose(env) if self.runs_jobs else []
        if is_local(env):
            ticked = (one.queue_name for one in self.schedules_of(env))
            self._create_missing(env, {share.queue_name for share in shares}.union(ticked))
        return shares

    def schedules_of(self, env: "SQSEnv") -> "list[Schedule]":
        """Return the schedules whose ticks the worker sends."""
        return [env.schedules[name] for name in sorted(env.schedules)] if self.schedules else []

    def _create_missing(self, env: "SQSEnv", queue_names: set[str]) -> None:
        from sqsw.sqs_manage.create import create_missing_queues

        registered = {registration.queue_name for registration in env.registrations()}
        wanted = sorted(queue_names & registered)
        if env.parking_queue is not None:
            wanted.append(env.parking_queue)
        reports = create_missing_queues(env, wanted, self.settings)
        names = [report.name for report in reports]
        if not names:
            return
        if logs_as_json(self.invocation, daemon=True):
            log_event(
                logging.getLogger("sqsw.worker"), logging.INFO, "queues_created", queues=names
            )
        else:
            self.invocation.printer.note(f"created in {env.location()}: {', '.join(names)}")


@click.command(cls=Command, examples=EXAMPLES, context_settings={"auto_envvar_prefix": "SQSW_WORK"})
@click.argument("positional_app", metavar="[APP]", required=False, shell_complete=complete_app)
@app_options
@work_options
@click.pass_context
def work(
    ctx: click.Context,
    /,
    positional_app: str | None,
    app: Sequence[str],
    no_plugins: bool,
    lock: str | None,
    strict: bool,
    **_: Any,
) -> int:
    """Run jobs until stopped.

    APP is module:attribute or module. Ctrl-C or SIGTERM starts a graceful shutdown: the worker
    stops receiving, lets running jobs finish and returns the other messages to the queue. A second
    signal stops it at once. With --local, queues that do not exist are created.

    The worker also sends the ticks of the app's schedules. With several workers, each tick still
    runs once.
    """
    invocation = ctx.find_object(Invocation) or Invocation()
    apps = apps_of(ctx, positional_app, app)
    options = without_conflicts(ctx)
    runs_jobs = not options["schedule_only"]
    settings = settings_of(options)
    table = {} if invocation.config is None else invocation.config.queues
    choose = _Choice(
        invocation.without_printer(),
        QueueChoice(options["queue"], table, options["processors_from"]),
        settings_of_file(invocation.config),
        runs_jobs,
        not options["no_schedule"],
    )
    # With --reload, queues can change at any time, so show only the log.
    invocation.has_view = runs_jobs and not options["reload"] and wants_view(invocation)
    load = _Load(invocation.without_printer(), apps, not no_plugins)
    begun = time.monotonic()
    # With --json, stdout is only for the summary, whatever the jobs print.
    with (
        stdout_to_stderr() if invocation.as_json else nullcontext(),
        exclusive(lock, invocation.printer.warn),
    ):
        if options["reload"]:
            report = _run_reloading(invocation, load, choose, settings, options)
        else:
            with opened(
                invocation, apps, plugins=not no_plugins, strict=strict, daemon=True
            ) as env:
                _refuse_nothing(apps, env.registrations())
                report = _run(invocation, env, load, choose, settings, options)
    _conclude(invocation, report, time.monotonic() - begun)
    code = _exit_code(report, strict=strict)
    # Jobs that were returned can run elsewhere now, so end them here.
    invocation.ends_at_once = bool(report.unfinished)
    return code


def _run(
    invocation: Invocation,
    env: "SQSEnv",
    load: _Load,
    choose: _Choice,
    settings: WorkerSettings,
    options: dict[str, Any],
) -> "WorkerReport":
    from sqsw.app.running import run_queues
    from sqsw_cli.working.banner import announce

    shares = choose(env)
    processes, recycle = options["processes"], options["recycle"]
    policy = policy_maker(options["until_idle"], options["max_jobs"])
    logs = announce(
        *(invocation, env, load.apps, shares, settings, processes),
        processors_from=choose.choose.processors_from,
        schedules=choose.schedules_of(env),
    )
    with ExitStack() as stack:
        listeners = _listeners(stack, options)
        if invocation.has_view:
            listeners.append(stack.enter_context(live_view(invocation, env, shares)))
        gc_tuning.as_usual()
        if processes == 1 and recycle is None:
            return run_queues(
                env,
                shares,
                settings=settings,
                shutdown_policy_maker=policy,
                processors_from=choose.choose.processors_from,
                listeners=[logs, *listeners],
                load=load,
                crash_file=options["health_file"],
                schedule=choose.schedules,
                parking=choose.runs_jobs,
            )
        from sqsw.app.supervised import refuse_memory, run_supervised

        refuse_memory(env)
        return run_supervised(
            _order(load, choose, settings),
            processes,
            recycle=recycle,
            shutdown_policy_maker=policy,
            listeners=listeners,
            logs=logs,
        )


def _run_reloading(
    invocation: Invocation,
    load: _Load,
    choose: _Choice,
    settings: WorkerSettings,
    options: dict[str, Any],
) -> "WorkerReport":
    from sqsw.app.supervised import run_supervised
    from sqsw_cli.working.banner import CommandLog, announce
    from sqsw_cli.working.reload import ReloadLog, loaded_if_sound

    def load_here() -> "SQSEnv":  # worker processes do not warn about plugins
        return load_env(invocation, load.apps, plugins=load.plugins, daemon=True)

    if not load.apps:  # no change of a file would add jobs
        _refuse_nothing(load.apps, load_here().registrations())
    env, shares = loaded_if_sound(load_here, choose) or (None, [])
    if env is not None:
        announce(
            *(invocation, env, load.apps, shares, settings, options["processes"]),
            processors_from=choose.choose.processors_from,
            schedules=choose.schedules_of(env),
        )
    as_json = logs_as_json(invocation, daemon=True)
    with ExitStack() as stack:
        gc_tuning.as_usual()
        return run_supervised(
            _order(load, choose, settings, reload=True),
            options["processes"],
            recycle=options["recycle"],
            shutdown_policy_maker=policy_maker(options["until_idle"], options["max_jobs"]),
            listeners=_listeners(stack, options),
            logs=CommandLog() if as_json else ReloadLog(invocation, env, shares),
        )


def _order(
    load: _Load, choose: _Choice, settings: WorkerSettings, *, reload: bool = False
) -> "WorkOrder":
    from sqsw.app.supervised import WorkOrder

    return WorkOrder(
        *(load, choose, settings, choose.choose.processors_from, reload),
        schedule=choose.schedules,
        parking=choose.runs_jobs,
    )


def _listeners(stack: ExitStack, options: dict[str, Any]) -> list[Any]:
    """Return the listeners other than the log, which run until the stack is closed."""
    http, file = options["http"], options["health_file"]
    if http is None and file is None:
        return []
    from sqsw.observe.health import Health, HealthFile

    health = Health()
    listeners: list[Any] = [health]
    if file is not None:
        stack.enter_context(HealthFile(file, health))
    if http is not None:
        from sqsw.observe.http import HealthServer
        from sqsw.observe.metrics import Metrics

        metrics = Metrics(health)
        listeners.append(metrics)
        host, port = http
        stack.enter_context(
            HealthServer(
                host,
                port,
                health,
                metrics,
                allow_hosts=options["allow_host"],
                allow_host_hint=ALLOW_HOST_HINT,
            )
        )
    return listeners


def _conclude(invocation: Invocation, report: "WorkerReport", seconds: float) -> None:
    if invocation.as_json:
        values = {"command": "work", "seconds_s": round(seconds, 3), **values_of(report)}
        _within_seconds(lambda: invocation.printer.json("summary", values))
    elif logs_as_json(invocation, daemon=True):
        values = {"seconds_s": round(seconds, 3), **values_of(report)}
        log_event(logging.getLogger("sqsw.worker"), logging.INFO, "summary", **values)
    else:
        invocation.printer.note(summary_of(report, seconds))


def _within_seconds(write: Callable[[], None]) -> None:
    """Write to stdout; end the process if that hangs, as on a full pipe that no program reads."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            write()
        except BaseException as error:  # noqa: BLE001  # raised again below
            raised.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(_SUMMARY_SECONDS)
    if thread.is_alive():
        from sqsw.core.process_end import end_process

        why = f"no program has read stdout for {_SUMMARY_SECONDS:.0f} seconds"
        show(Failure("cannot write the summary", why=why, code="output"), as_json=True, color=False)
        end_process(Exit.FAILURE, at_once=True)
    if raised:
        raise raised[0]


def _refuse_nothing(apps: Sequence[str], registrations: Sequence[Any]) -> None:
    if not apps and not registrations:
        raise SettingsError(
            "there are no jobs to run",
            why="no app is named or configured, and no installed plugin registers a job",
            next="name an app: sqsw work myapp.tasks:env, or set app in [tool.sqsw]",
        )


def _refuse_no_schedules(env: "SQSEnv") -> None:
    if not env.schedules:
        raise SettingsError(
            "there are no schedules",
            why="neither the app nor a plugin nor the configuration file has any",
            next="declare one with @env.periodic(...) or in [schedules.NAME] of sqsw.toml, or "
            "leave out --schedule-only",
        )


def _exit_code(report: "WorkerReport", *, strict: bool) -> int:
    if report.forced:
        return Exit.TERMINATED if report.stopped_by == "SIGTERM" else Exit.INTERRUPTED
    if report.stopped_by == "stuck_job":
        return Exit.FAILURE
    if report.unfinished or (strict and (report.failed or report.unknown)):
        return Exit.PARTIAL
    return Exit.OK
