"""Installed packages that bring jobs."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqsw.core.entry_points import entry_points_of
from sqsw.core.errors import AppLoadError, TaskAlreadyRegistered
from sqsw.core.safe_logger import log_event
from sqsw.core.wording import described
from sqsw.sqs_env import SQSEnv

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

logger = logging.getLogger(__name__)

#: Installed packages name what registers their jobs in this entry point group: a
#: :class:`~sqsw.registry.TaskRegistry`, or a function that takes the environment.
PLUGIN_GROUP = "sqsw.processors"


@dataclass(frozen=True, slots=True)
class PluginFailure:
    name: str
    origin: str
    reason: str


def log_plugin_failure(failure: PluginFailure) -> None:
    log_event(
        logger,
        logging.WARNING,
        "plugin_failed",
        plugin=failure.name,
        origin=failure.origin,
        reason=failure.reason,
    )


def load_plugins(
    env: SQSEnv,
    strict: bool = False,
    *,
    on_failure: Callable[[PluginFailure], None] = log_plugin_failure,
) -> list[str]:
    """Let all installed plugins register their jobs with ``env``.

    Parameters
    ----------
    strict :
        Whether a plugin that fails is an error.
    on_failure :
        Told of each plugin that failed, otherwise.

    Returns
    -------
    list of str
        The packages that were loaded, with their versions.

    Raises
    ------
    TaskAlreadyRegistered
        A plugin registers a job that another function has.
    AppLoadError
        With ``strict``: a plugin cannot be loaded.
    """
    loaded = []
    for point in entry_points_of(PLUGIN_GROUP):
        origin = _origin(point)
        before = env.registrations()
        try:
            register = point.load()
            with env.registering_from(f"plugin {origin}"):
                register(env)
        except TaskAlreadyRegistered:
            raise
        except (Exception, SystemExit) as error:
            # All of its jobs or none: half a plugin would fail in ways that nobody can explain.
            for registration in env.registrations():
                if registration not in before:
                    env.unregister(registration)
            failure = PluginFailure(point.name, origin, described(error))
            if strict:
                raise AppLoadError(
                    f"the plugin {failure.name!r} of {origin} cannot be loaded",
                    reason="plugin",
                    why=failure.reason,
                    next="correct or uninstall it, or load no plugins: open_env(plugins=False)",
                ) from error
            on_failure(failure)
        else:
            loaded.append(origin)
    return loaded


def _origin(point: "EntryPoint") -> str:
    dist = point.dist
    return point.name if dist is None else f"{dist.name} {dist.version}"
