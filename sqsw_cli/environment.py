"""Open the environment that the options describe."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import SettingsError, SQSError
from sqsw_cli.errors.hints import explained
from sqsw_cli.invocation import Invocation
from sqsw_cli.terminal import stdout_to_stderr

if TYPE_CHECKING:
    from sqsw.app.plugins import PluginFailure
    from sqsw.core.settings import ScheduleSettings
    from sqsw.sqs_env import SQSEnv


@contextmanager
def opened(
    invocation: Invocation,
    app_paths: Sequence[str] = (),
    *,
    plugins: bool = False,
    strict: bool = False,
    daemon: bool = False,
) -> "Iterator[SQSEnv]":
    """Open the environment that the options describe, with the jobs of these apps.

    Parameters
    ----------
    app_paths :
        The apps to load; commands that need no jobs load none.
    plugins, strict :
        Whether to load installed plugins too, and whether a plugin that fails to load is an error.
    daemon :
        Whether the log is the output of the command, and a log collector can read it.
    """
    env = load_env(invocation, app_paths, plugins=plugins, strict=strict, daemon=daemon)
    if app_paths or plugins:
        from sqsw_cli.completing.jobs import remember_jobs, remember_schedules

        remember_jobs(app_paths, env.registrations())
        remember_schedules(app_paths, env.schedules)
    try:
        yield env
    except SQSError as error:
        raise explained(error, invocation, env) from error
    if not daemon:  # threads of a worker that was stopped at once can still use the file
        close = getattr(env.clients.session, "close", None)
        if close is not None:
            close()


def load_env(
    invocation: Invocation,
    app_paths: Sequence[str] = (),
    *,
    plugins: bool = False,
    strict: bool = False,
    daemon: bool = False,
    warns: bool = True,
) -> "SQSEnv":
    """Set up the log and load the environment; the parameters are those of :func:`opened`."""
    from sqsw_cli.working.logs import configure_logs, configure_structlog

    runs_apps = bool(app_paths) or plugins
    _ = invocation.printer  # create it now, because it keeps the current stdout
    configure_logs(invocation, daemon=daemon, runs_apps=runs_apps)
    # The stdout of a worker is for what its jobs print.
    with stdout_to_stderr() if runs_apps and not daemon else nullcontext():
        env = _open_env(
            *(invocation, app_paths, plugins, strict),
            lambda failure: _warn(invocation, failure, daemon=daemon) if warns else None,
        )
        if runs_apps:
            configure_structlog()
        return env


def _open_env(
    invocation: Invocation,
    app_paths: Sequence[str],
    plugins: bool,
    strict: bool,
    on_plugin_failure: "Callable[[PluginFailure], None]",
) -> "SQSEnv":
    from sqsw.app.opening import open_env

    return open_env(
        app_paths,
        session_maker=_session_maker(invocation),
        queue_prefix=invocation.queue_prefix,
        endpoint_url=invocation.endpoint_url,
        region=invocation.region,
        plugins=plugins,
        strict=strict,
        on_plugin_failure=on_plugin_failure,
        schedules=_schedules_of_file(invocation) if app_paths or plugins else (),
    )


def _schedules_of_file(invocation: Invocation) -> "Sequence[ScheduleSettings]":
    config = invocation.config
    if config is None or not config.schedules:
        return ()
    from sqsw_cli.options.schedules import schedules_of_file  # most files have none

    return schedules_of_file(config)


def has_plugins() -> bool:
    """Return whether an installed package provides jobs, without importing it."""
    from sqsw.app.plugins import PLUGIN_GROUP
    from sqsw.core.entry_points import entry_points_of

    return bool(entry_points_of(PLUGIN_GROUP))


def is_local(env: "SQSEnv") -> bool:
    session = env.clients.session  # first, because this can create the session
    memory_sqs = sys.modules.get("sqsw.memory_sqs")  # imported if such a session exists
    return memory_sqs is not None and isinstance(
        session, memory_sqs.LocalSession | memory_sqs.MemorySession
    )


def _session_maker(invocation: Invocation) -> Callable[[], Any] | None:
    _check_where(invocation)
    if invocation.local == "0":
        # For this process and its children, which would otherwise read the variable.
        os.environ["SQSW_LOCAL"] = "0"
    elif invocation.local is not None:
        from sqsw.memory_sqs import DEFAULT_PATH, LocalSession, local_path

        path = local_path(invocation.local or "1") or DEFAULT_PATH
        return lambda: LocalSession(path)
    if invocation.profile is not None:
        from sqsw.app.opening import profile_session

        profile = invocation.profile
        return lambda: profile_session(profile)
    return None


def _check_where(invocation: Invocation) -> None:
    if invocation.local in (None, "0"):
        return
    for other in ("endpoint_url", "profile"):
        if getattr(invocation, other) is not None:
            option = "--" + other.replace("_", "-")
            raise SettingsError(
                f"--local and {option} cannot be used together",
                why="the embedded SQS is a file: it has no endpoint and no credentials",
                next=f"leave out --local or {option}",
            )


def _warn(invocation: Invocation, failure: "PluginFailure", *, daemon: bool) -> None:
    if daemon and invocation.log_format == "json" and not invocation.as_json:
        from sqsw.app.plugins import log_plugin_failure

        log_plugin_failure(failure)
        return
    invocation.printer.warn(
        f"the plugin {failure.name!r} of {failure.origin} cannot be loaded",
        why=failure.reason,
        next="fix or uninstall it, or use --no-plugins",
    )
