"""Hints for each error: the commands and options to use, which the library does not name."""

import os
import shlex
from collections.abc import Mapping, Sequence
from copy import copy
from string import Formatter
from typing import TYPE_CHECKING, Protocol

import click

from sqsw.core.errors import (
    AccessDenied,
    AppLoadError,
    Busy,
    ConnectionFailed,
    MessageRefused,
    NoRegion,
    QueueDiffers,
    QueueNotFound,
    RedriveError,
    SettingsError,
    SQSError,
    TaskAlreadyRegistered,
    TaskNotFound,
)
from sqsw.core.redrive_policy import DEFAULT_MAX_RECEIVES
from sqsw.core.wording import nearest, without_password

if TYPE_CHECKING:
    from sqsw.core.events import QueueWarning
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.checks import Check

#: Commands that need a queue with messages, so a new queue would not help.
_NEED_CONTENT = {"redrive", "purge", "delete-queue"}

_NO_ANSWER = "check the address and the network, or start a local SQS: sqsw serve"
_SERVE_KEY = "SQSW_SERVE_ACCESS_KEY and SQSW_SERVE_SECRET_KEY"
_WHERE_TO = "name the target: sqsw redrive {queue} --to QUEUE"

#: The ``next:`` line by the class and reason of an error. Words in braces are fields of the error,
#: quoted for a shell. If no row matches, the error's own advice is shown.
HINTS: Mapping[tuple[type[SQSError], str | None], str] = {
    (AppLoadError, "plugin"): "fix or uninstall the plugin, or use --no-plugins",
    (AppLoadError, "raised"): "fix the app; -vv shows the traceback",
    (TaskAlreadyRegistered, "plugin"): "rename one of them, or use --no-plugins",
    (TaskNotFound, "job"): "to send it anyway, add --no-check",
    (TaskNotFound, "queue"): "register its jobs, or add the app that has them: "
    "--app module:attribute",
    (TaskNotFound, "dead_letters"): "run the jobs of {source} on it: --processors-from {source}",
    (SettingsError, "argument_type"): "write {setting}:=JSON for a value that is not text; "
    "to send it anyway, add --no-check",
    (SettingsError, "arguments"): "fix the arguments; to send them anyway, add --no-check",
    (SettingsError, "group_slots"): "leave out group={value}",
    (SettingsError, "key_and_no_auth"): f"leave out --no-auth, or unset {_SERVE_KEY}",
    (SettingsError, "memory"): "use a file: --local or SQSW_LOCAL; or --processes 1",
    (SettingsError, "no_key"): f"set {_SERVE_KEY}, or use --no-auth",
    (SettingsError, "no_source_name"): "name the queue: sqsw create-queue NAME --dlq {value}",
    (SettingsError, "no_wait"): "leave out --no-wait",
    (SettingsError, "one_queue"): "name the one queue to work: --queue {suggested}",
    (SettingsError, "parking_settings"): "sqsw create-queue {value} --parking --update",
    (SettingsError, "other_region"): "use --region {suggested}, or set AWS_REGION",
    (NoRegion, None): "set AWS_REGION (or --region), or work without AWS: SQSW_LOCAL=1 "
    "(or --local)",
    (MessageRefused, "delay_on_fifo"): "leave out the delay, or park the job: "
    "sqsw create-queue parked --parking, then --parking parked",
    (MessageRefused, "needs_deduplication_id"): "add --dedup-id ID, or deduplicate by body: sqsw "
    "create-queue {queue} --content-dedup --update",
    (MessageRefused, "needs_parking"): "park it: sqsw create-queue parked --parking, then "
    "--parking parked here, and SQSW_PARKING=parked or SQSEnv(parking='parked') for the workers",
    (RedriveError, "failed"): _WHERE_TO,
    (RedriveError, "no_target"): _WHERE_TO,
    (RedriveError, "not_dead_letters"): "its dead-letter queue is {dead_letter_queue}: "
    "sqsw redrive {dead_letter_queue}",
    (RedriveError, "not_running"): "sqsw redrive {queue} --status shows the last ten moves",
    (Busy, "file"): "share it over HTTP: sqsw serve, then --endpoint-url http://127.0.0.1:9324",
    (Busy, "move"): "to follow it: sqsw redrive {queue} --status; to stop it: "
    "sqsw redrive {queue} --cancel",
    (Busy, "port"): "stop that process, choose another port (--port N), or use any free one "
    "(--port 0)",
    (AccessDenied, "no_credentials"): "run 'aws configure', set AWS_PROFILE, or work without AWS: "
    "SQSW_LOCAL=1 (or --local)",
    (AccessDenied, "wrong_key"): "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile) "
    f"to a valid key; for 'sqsw serve' that is its {_SERVE_KEY}",
    (ConnectionFailed, None): _NO_ANSWER,
    (ConnectionFailed, "refused"): _NO_ANSWER,
    (ConnectionFailed, "no_answer"): _NO_ANSWER,
    (SQSError, "not_sqs"): "check the endpoint (--endpoint-url, AWS_ENDPOINT_URL_SQS, "
    "AWS_ENDPOINT_URL), and whether a proxy or a captive portal answers instead of SQS",
}

_CREATE_PARKING = "sqsw create-queue {queue_name} --parking"

_MORE_RECEIVES = (
    "sqsw create-queue {queue_name} --dlq {dead_letter_queue} "
    f"--max-receives {DEFAULT_MAX_RECEIVES} --update"
)

#: Hints for problems with a queue, which ``doctor`` and the warnings of a worker show.
QUEUE_HINTS = {
    "missing": "sqsw create-queue {queue_name}",
    "visibility_timeout": "sqsw create-queue {queue_name} --visibility-timeout 30s --update",
    "no_dead_letter_queue": "sqsw create-queue {queue_name} --dlq {dead_letter_queue} --update",
    "missing_dead_letter_queue": "sqsw create-queue {queue_name} --dlq {dead_letter_queue}",
    "one_receive": _MORE_RECEIVES,
    "few_receives": _MORE_RECEIVES,
    "short_backoff": "set a longer backoff_policy on the queue, its jobs or SQSEnv",
    "long_backoff": "use a backoff of at most 12h; for longer ones, a standard queue needs a "
    "parking queue: sqsw create-queue parked --parking, then SQSW_PARKING=parked",
    "parking": "check that the parking queue exists, and that the worker can send to it (sqsw "
    "doctor --policy {queue_name} prints a statement)",
    "short_retention": "sqsw create-queue {dead_letter_queue} --retention 14d --update",
    "dead_letters": "grant the worker sqs:SendMessage on it (sqsw doctor --policy {queue_name} "
    "prints the statement), or use --dead-letters native",
    "no_room": "use at most nine message attributes, and leave 4 KiB of the size free",
    "missing_parking_queue": _CREATE_PARKING,
    "parking_fifo": "create a standard queue: sqsw create-queue parked --parking",
    "parking_settings": f"{_CREATE_PARKING} --update",
    "parked_too_old": "keep a worker running: SQSW_PARKING={queue_name} sqsw work APP",
    "denied": "sqsw doctor --policy {queue_name} prints the statement that a worker needs",
}


class GivenOptions(Protocol):
    """The profile and all words of the command line."""

    profile: str | None
    args: Sequence[str]


def hint_of(error: SQSError) -> str | None:
    """Return what to do next, with the commands and options that the library does not name."""
    rows = [HINTS.get((cls, error.reason)) for cls in type(error).__mro__]
    text = None if getattr(error, "similar", None) else next(filter(None, rows), None)
    return _filled(text, error) if text else error.next


def queue_hint(found: "Check | QueueWarning") -> str | None:
    text = QUEUE_HINTS.get(found.reason or "")
    return _filled(text, found) if text else found.hint


def _filled(text: str, thing: object) -> str:
    fields = {name: getattr(thing, name) for _, name, _, _ in Formatter().parse(text) if name}
    return text.format_map({name: shlex.quote(str(value)) for name, value in fields.items()})


def explained(error: SQSError, options: GivenOptions, env: "SQSEnv") -> SQSError:
    """Return a copy with details that only the command line knows, or the error itself."""
    if isinstance(error, QueueNotFound):
        return _not_found(error, env)
    if isinstance(error, QueueDiffers):
        at = options.args.index("create-queue") + 1
        command = shlex.join(["sqsw", *options.args[:at], "--update", *options.args[at:]])
        return _reworded(error, error.why, f"change it: {without_password(command)}")
    if isinstance(error, AccessDenied):
        return _denied(error, options)
    return error


def _reworded(error: SQSError, why: str | None, next: str | None, message: str = "") -> SQSError:
    """Return a copy of an error with other texts; its new reason has no row in HINTS."""
    reworded = copy(error)
    reworded.reason = "explained"
    reworded.message = message or error.message
    reworded.args = (reworded.message,)
    reworded.why, reworded.next = why, next
    return reworded


def place_without_queues(env: "SQSEnv") -> str:
    """Return the place that was searched; mark a new file, whose path is probably a typo."""
    place = env.location()
    if "://" in place:  # an endpoint can have separate queues in each region
        return f"{place} in region {env.clients.region}"
    return f"{place} (new, empty)" if getattr(env.clients.session, "is_new", False) else place


def _not_found(error: QueueNotFound, env: "SQSEnv") -> SQSError:
    """Say where the queue is missing, and suggest a similar name."""
    name = error.queue
    if name is None or error.account is not None:  # the library's message is complete
        return error
    if error.reason == "parking":
        create = f"create it: sqsw create-queue {shlex.quote(name)} --parking"
        meant = error.similar
        cure = f"did you mean {meant!r}? To {create}" if meant else create
        return _reworded(error, error.why, cure)
    try:
        meant = nearest(name, env.get_all_known_queues())
    except SQSError:  # listing is not allowed: suggest nothing
        meant = None
    advice = [f"did you mean {meant!r}?"] if meant else []
    context = click.get_current_context(silent=True)
    if meant != name and (context is None or context.info_name not in _NEED_CONTENT):
        create = f"create it: sqsw create-queue {'-- ' if name.startswith('-') else ''}{name}"
        if name == env.parking_queue:
            create += " --parking"
        advice.append(f"To {create}" if advice else create)
    return _reworded(
        error,
        f"SQS does not know the name {env.get_sqs_queue_name(name)!r} [QueueDoesNotExist]",
        " ".join(advice) or "sqsw inspect lists the queues",
        f"no queue named {name!r} in {place_without_queues(env)}",
    )


def _denied(error: AccessDenied, options: GivenOptions) -> SQSError:
    profile = options.profile or os.environ.get("AWS_PROFILE") or "default"
    if error.reason == "no_credentials":
        why = f"searched the environment, the profile {profile!r}, and container and instance roles"
        return _reworded(error, why, hint_of(error))
    if error.reason == "expired":
        return _reworded(
            error,
            f"the session token of profile {profile!r} has expired [{error.code}]",
            f"log in again (for example: aws sso login --profile {profile}) and try again",
        )
    if error.action is not None:
        why = f"{error.action} is denied on {error.resource} [{error.code}]"
        return _reworded(error, why, error.next)
    return error
