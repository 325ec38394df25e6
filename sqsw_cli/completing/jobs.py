"""Job names and arguments, saved by the last command that loaded an app."""

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqsw_cli.completing.memory import Remembered

if TYPE_CHECKING:
    from sqsw.sqs_env import Registration

#: queue name to job name to the names of its arguments
Jobs = dict[str, dict[str, list[str]]]

#: follows the names if the function takes other arguments too
ANY = "**"


def remember_jobs(app_paths: Sequence[str], registrations: "Iterable[Registration]") -> None:
    """Save the jobs that these apps register, for completion in this directory."""
    jobs: Jobs = {}
    for found in registrations:
        if found.job_name is not None:
            jobs.setdefault(found.queue_name, {})[found.job_name] = _arguments(found)
    memory = _memory()
    apps = _apps(memory)
    key = " ".join(app_paths)
    if jobs and apps.get(key) != jobs:
        memory.write({**apps, key: jobs})


def remember_schedules(app_paths: Sequence[str], names: Iterable[str]) -> None:
    """Save the names of the schedules of these apps, for completion in this directory."""
    memory, key, names = Remembered("schedules", os.getcwd()), " ".join(app_paths), sorted(names)
    known = _schedules(memory)
    if known.get(key, []) != names:
        memory.write({**known, key: names})


def remembered_schedules() -> list[str]:
    """Return the names of the schedules, for this directory."""
    found = _schedules(Remembered("schedules", os.getcwd())).values()
    return sorted({name for names in found for name in names})


def _schedules(memory: Remembered) -> Mapping[str, list[str]]:
    schedules = memory.read()
    return schedules if isinstance(schedules, dict) else {}


def remembered_apps() -> list[str]:
    return [app for app in _apps(_memory()) if app and " " not in app]


def remembered_jobs(queue: str | None) -> dict[str, list[str]]:
    """Return the arguments of each job of a queue, or of all queues, for this directory."""
    found: dict[str, list[str]] = {}
    for jobs in _apps(_memory()).values():
        for name, tasks in jobs.items():
            if queue in (None, name):
                found.update(tasks)
    return found


def _memory() -> Remembered:
    return Remembered("jobs", os.getcwd())


def _apps(memory: Remembered) -> Mapping[str, Jobs]:
    apps = memory.read()
    return apps if isinstance(apps, dict) else {}


def _arguments(registration: "Registration") -> list[str]:
    try:
        parameters = list(inspect.signature(registration.fn).parameters.values())
    except (TypeError, ValueError):  # some C functions have no signature
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind not in variadic]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        names.append(ANY)
    context = "job_context" if registration.pass_context else None
    return [name for name in names if name != context]
