"""From options to an environment; and what a person should know when a queue is not there."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import ConnectionFailed, QueueNotFound, SettingsError, SQSError
from sqsw_cli.invocation import Invocation
from sqsw_cli.wording import nearest

if TYPE_CHECKING:
    from sqsw.app.plugins import PluginFailure
    from sqsw.sqs_env import SQSEnv

_NO_QUEUE = re.compile(r"no queue named '(.+)'")


@contextmanager
def opened(
    invocation: Invocation,
    app_paths: Sequence[str] = (),
    *,
    plugins: bool = False,
    strict: bool = False,
    daemon: bool = False,
) -> "Iterator[SQSEnv]":
    """The environment that the options describe, with the jobs of these apps.

    Parameters
    ----------
    app_paths :
        The apps to load; commands that need no jobs load none.
    plugins, strict :
        Whether installed plugins are loaded too, and whether one that cannot be is an error.
    daemon :
        Whether the log is what this command says, and a collector may read it.
    """
    from sqsw.app.opening import open_env
    from sqsw_cli.logs import configure_logs

    configure_logs(invocation, daemon=daemon)
    env = open_env(
        app_paths,
        session_maker=_session_maker(invocation),
        queue_prefix=invocation.queue_prefix,
        endpoint_url=invocation.endpoint_url,
        region=invocation.region,
        plugins=plugins,
        strict=strict,
        on_plugin_failure=lambda failure: _warn(invocation, failure),
    )
    try:
        yield env
    except QueueNotFound as error:
        raise _not_found(env, error) from error
    except ConnectionFailed as error:
        raise _not_connected(invocation, error) from error
    if not daemon:  # threads of a worker that was stopped at once may still hold the file
        close = getattr(env.clients.session, "close", None)
        if close is not None:
            close()


def is_local(env: "SQSEnv") -> bool:
    """Whether the queues are those of the embedded SQS."""
    from sqsw.memory_sqs import LocalSession, MemorySession

    return isinstance(env.clients.session, LocalSession | MemorySession)


def _session_maker(invocation: Invocation) -> Callable[[], Any] | None:
    _check_where(invocation)
    if invocation.local == "0":
        # For this process and its children: the variable must not bring it back.
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
                f"--local and {option} do not go together",
                why="the embedded SQS is a file: it has no endpoint and no credentials",
                next=f"leave out --local or {option}",
            )


def _warn(invocation: Invocation, failure: "PluginFailure") -> None:
    invocation.printer.warn(
        f"the plugin {failure.name!r} of {failure.origin} cannot be loaded",
        why=failure.reason,
        next="correct or uninstall it, or leave plugins out: --no-plugins",
    )


def _not_found(env: "SQSEnv", error: QueueNotFound) -> SQSError:
    """Say where it is missing, and which queue may be meant."""
    found = _NO_QUEUE.fullmatch(error.message)
    if found is None:
        return error
    name = found.group(1)
    try:
        meant = nearest(name, env.get_all_known_queues())
    except SQSError:  # not allowed to list: then without a suggestion
        meant = None
    create = f"sqsw create-queue {meant or name}"
    return QueueNotFound(
        f"no queue named {name!r} in {env.location()}",
        why=f"the name sent was {env.get_sqs_queue_name(name)!r} [QueueDoesNotExist]",
        next=f"did you mean {meant!r}? Or create it: {create}" if meant else f"create it: {create}",
        code=error.code,
    )


def _not_connected(invocation: Invocation, error: ConnectionFailed) -> SQSError:
    """Say where the address comes from."""
    if invocation.endpoint_url is not None:
        origin, cure = "--endpoint-url", "leave out --endpoint-url"
    else:
        names = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")
        origin = next((name for name in names if os.environ.get(name)), "")
        cure = f"unset {origin}"
    if not origin:
        return error
    return ConnectionFailed(
        error.message,
        why=f"{error.why}; the address comes from {origin}",
        next=f"start the server there, or {cure} to use AWS",
        code=error.code,
    )
