"""Load jobs from installed packages."""

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

#: The entry point group of plugins. An entry point is a :class:`~sqsw.registry.TaskRegistry`, or a
#: function that takes the environment and registers jobs.
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
    """Register the jobs of all installed plugins with ``env``.

    Parameters
    ----------
    strict :
        Whether a failing plugin is an error.
    on_failure :
        Called with each failed plugin, unless ``strict``.

    Returns
    -------
    list of str
        The loaded packages with their versions.

    Raises
    ------
    TaskAlreadyRegistered
        A plugin registers a job that already has another function.
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
            # Register all of its jobs or none: half a plugin would fail in confusing ways.
            for registration in env.registrations():
                if registration not in before:
                    env.unregister(registration)
            failure = PluginFailure(point.name, origin, described(error))
            if strict:
                raise AppLoadError(
                    f"cannot load the plugin {failure.name!r} of {origin}",
                    reason="plugin",
                    why=failure.reason,
                    next="fix or uninstall it, or load no plugins with open_env(plugins=False)",
                ) from error
            on_failure(failure)
        else:
            loaded.append(origin)
    return loaded


def _origin(point: "EntryPoint") -> str:
    dist = point.dist
    return point.name if dist is None else f"{dist.name} {dist.version}"
