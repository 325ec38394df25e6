"""Open an environment with the jobs of all apps and plugins."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqsw.app.loading import load_parts
from sqsw.app.plugins import PluginFailure, load_plugins, log_plugin_failure
from sqsw.core.argument_types import find_wrong_type
from sqsw.core.arguments import describe_mismatch
from sqsw.core.errors import AppLoadError, DecodeError, SettingsError, TaskNotFound
from sqsw.core.settings import ScheduleSettings
from sqsw.core.wording import nearest, shortened
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv
from sqsw.transport.service_errors import service_errors

#: maximum characters of a value in an error
_VALUE_LENGTH = 60


def profile_session(profile: str) -> Any:
    """Return a boto3 session with the credentials of a profile.

    Raises
    ------
    SettingsError
        The profile does not exist.
    """
    with service_errors("use the profile"):
        import boto3

        return boto3.session.Session(profile_name=profile)


def open_env(
    app_paths: Sequence[str] = (),
    *,
    session_maker: Callable[[], Any] | None = None,
    queue_prefix: str | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
    plugins: bool = True,
    strict: bool = False,
    on_plugin_failure: Callable[[PluginFailure], None] = log_plugin_failure,
    schedules: Sequence[ScheduleSettings] = (),
) -> SQSEnv:
    """Return one environment with the jobs of these apps and of the installed plugins.

    Parameters
    ----------
    app_paths :
        See :func:`load_app`. Without any, a new environment is created.
    session_maker, queue_prefix, endpoint_url, region :
        The location of the queues, instead of the app's own; None keeps the app's value.
    plugins, strict, on_plugin_failure :
        Whether to load installed plugins, whether a failing plugin is an error, and a function to
        call with the failure otherwise.
    schedules :
        Schedules for the loaded jobs, in addition to those in the code. They are ignored if neither
        an app nor a plugin was loaded.

    Raises
    ------
    AppLoadError
        An app cannot be loaded, or two apps have different environments.
    TaskAlreadyRegistered
        Two functions were registered for one job.
    SettingsError, TaskNotFound
        One of the schedules cannot be used.
    """
    loaded = {app_path: load_parts(app_path) for app_path in app_paths}
    envs = {app_path: env for app_path, (env, _) in loaded.items() if env is not None}
    if len({id(env) for env in envs.values()}) > 1:
        raise AppLoadError(
            f"the apps have different SQSEnv objects: {', '.join(envs)}",
            why="all jobs of a worker must belong to one environment",
            next="create it in one module and import it in the others, or use a TaskRegistry",
        )
    env = next(iter(envs.values()), None) or SQSEnv()
    env.connect_to(
        session=None if session_maker is None else session_maker(),
        queue_prefix=queue_prefix,
        endpoint_url=endpoint_url,
        region=region,
    )
    for _, registries in loaded.values():
        for registry in registries:
            registry(env)
    if plugins:
        load_plugins(env, strict, on_failure=on_plugin_failure)
    if schedules and (app_paths or env.registrations()):
        from sqsw.app.schedules import declare_schedules

        declare_schedules(env, schedules)
    return env


def check_job(env: SQSEnv, queue_name: str, job_name: str, job_kwargs: Mapping[str, Any]) -> None:
    """Check a job against its registered function, without running it.

    Raises
    ------
    TaskNotFound
        No function is registered for this job of this queue.
    SettingsError
        The function does not accept these arguments, or an argument has the wrong type.
    """
    queue = env.queues.get(queue_name)
    processors = queue.processors if isinstance(queue, JobQueue) else {}
    processor = processors.get(job_name)
    if processor is None:
        known = sorted(processors)
        meant = nearest(job_name, known)
        raise TaskNotFound(
            f"no job {job_name!r} is registered for {queue_name!r}",
            reason="job",
            queue=queue_name,
            job=job_name,
            similar=meant,
            why=f"registered for this queue: {', '.join(known) or 'none'}",
            next=f"did you mean {meant!r}?" if meant else "register it for this queue",
        )
    if not getattr(processor, "check_arguments", True):  # a custom processor may lack it
        return
    provided = (processor.context_var,) if processor.pass_context else ()
    mismatch = describe_mismatch(processor.fn, job_kwargs, provided=provided)
    converter = getattr(processor, "converter", None)
    if mismatch is None and converter is not None:
        try:
            converter.from_json(job_kwargs)
        except DecodeError as error:
            mismatch = f"{error.message} ({error.why})"
    if mismatch is not None:
        raise SettingsError(
            f"{job_name!r} does not take these arguments",
            reason="arguments",
            why=mismatch,
            next="fix the arguments",
            code="ArgumentError",
        )
    # A converter, if any, has already checked the types.
    wrong = find_wrong_type(processor.fn, job_kwargs) if converter is None else None
    if wrong is not None:
        is_text = isinstance(wrong.value, str)
        value = shortened(json.dumps(wrong.value, ensure_ascii=False), _VALUE_LENGTH)
        raise SettingsError(
            f"{job_name!r} does not take this value for {wrong.name!r}",
            reason="argument_type" if is_text else "arguments",
            setting=wrong.name,
            why=f"the function declares {wrong.declared}, but the value is {value}",
            next="fix the value",
            code="ArgumentError",
        )
