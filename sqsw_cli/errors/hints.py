"""What a person should know beside an error: the place, the profile, the address, what next."""

import os
import re
from typing import TYPE_CHECKING, Protocol

import click

from sqsw.core.errors import (
    AccessDenied,
    ConnectionFailed,
    QueueNotFound,
    SettingsError,
    SQSError,
    UnexpectedAnswer,
)
from sqsw.core.wording import nearest, without_password

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_QUEUE_NAME = re.compile(r"(?=.{1,80}$)[A-Za-z0-9_-]+(\.fifo)?")
#: Commands for messages that are there already.
_MOVING = {"redrive", "purge"}
_LOOKING = {*_MOVING, "inspect"}

# What the library says of a place is said better here; an account of another is the point.
_NO_QUEUE = re.compile(r"no queue named '(.+?)'( in (?!the account ).+)?")
# As AWS words it: "… is not authorized to perform: sqs:SendMessage on resource: arn:aws:… because".
_NOT_AUTHORIZED = re.compile(r"not authorized to perform: (\S+) on resource: (\S+)", re.IGNORECASE)


class GivenOptions(Protocol):
    """The global options that a hint names."""

    endpoint_url: str | None
    profile: str | None


def explained(error: SQSError, options: GivenOptions, env: "SQSEnv") -> SQSError:
    """The same error, with what only the command line knows; or the error itself."""
    if isinstance(error, QueueNotFound):
        return _not_found(error, env)
    if isinstance(error, ConnectionFailed):
        return _not_connected(error, options)
    if isinstance(error, AccessDenied):
        return _denied(error, options)
    if isinstance(error, UnexpectedAnswer) and error.next is not None:
        named = error.next.replace("(AWS_ENDPOINT_URL_SQS", "(--endpoint-url, AWS_ENDPOINT_URL_SQS")
        return UnexpectedAnswer(error.message, why=error.why, next=named)
    if error.message == "no AWS region set":
        return _no_region(error)
    return error


def place_without_queues(env: "SQSEnv") -> str:
    """Where a queue was looked for in vain; a file that was made by that is most likely a slip."""
    place = env.location()
    if "://" in place:  # an endpoint may have queues in several regions, and each is apart
        return f"{place} in region {env.clients.region}"
    return f"{place} (new, empty)" if getattr(env.clients.session, "is_new", False) else place


def _not_found(error: QueueNotFound, env: "SQSEnv") -> SQSError:
    """Say where it is missing, and which queue may be meant."""
    found = _NO_QUEUE.fullmatch(error.message)
    if found is None:
        return error
    name = found.group(1)
    try:
        there = set(env.get_all_known_queues())
    except SQSError:  # not allowed to list: then without a suggestion
        there = set()
    if name in there:
        return QueueNotFound(
            f"no queue named {name!r} where it was looked for",
            why="one of this name is in the account in use, and a URL may name another account "
            "[QueueDoesNotExist]",
            next=f"if that one is meant, name it alone: {name}",
            code=error.code,
        )
    sent = env.get_sqs_queue_name(name)
    can_be = _QUEUE_NAME.fullmatch(sent) is not None
    return QueueNotFound(
        f"no queue named {name!r} in {place_without_queues(env)}",
        why=f"the name sent was {sent!r}{'' if can_be else ', which no queue can have'} "
        "[QueueDoesNotExist]",
        next=_instead_of(name, nearest(name, there), env, can_be=can_be),
        code=error.code,
    )


def _instead_of(name: str, meant: str | None, env: "SQSEnv", *, can_be: bool) -> str:
    """What to do about a queue that is not there; one that is new holds nothing to look at."""
    advice = [f"did you mean {meant!r}?"] if meant else []
    context = click.get_current_context(silent=True)
    command = None if context is None else context.info_name
    if command in _LOOKING and getattr(env.clients.session, "is_new", False):
        advice.append(f"the {env.location()} is new and empty: is this the right directory?")
    if can_be and command not in _MOVING:
        create = f"create it: sqsw create-queue {'-- ' if name.startswith('-') else ''}{name}"
        advice.append(f"Or {create}" if advice else create)
    return " ".join(advice) or "sqsw inspect lists the queues"


def _not_connected(error: ConnectionFailed, options: GivenOptions) -> SQSError:
    """Say where the address comes from."""
    if options.endpoint_url is not None:
        origin, cure = "--endpoint-url", "leave out --endpoint-url"
    else:
        names = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")
        origin = next((name for name in names if os.environ.get(name)), "")
        cure = f"unset {origin}"
    address = options.endpoint_url or os.environ.get(origin)
    if not address or without_password(address).rstrip("/") not in error.message:
        return error  # CloudWatch, say, is elsewhere
    # botocore keeps what the socket said as text, and says itself only that it did not connect.
    details = str(getattr(error.__cause__, "kwargs", {}).get("error", ""))
    reason = "connection refused" if "refused" in details else error.why
    return ConnectionFailed(
        error.message.rstrip("/"),
        why=f"{reason}; the address comes from {origin}",
        next=f"start it with 'sqsw serve', or {cure} to use AWS",
        code=error.code,
    )


def _no_region(error: SQSError) -> SQSError:
    """Name the options as well."""
    return SettingsError(
        error.message,
        why="neither an option, AWS_REGION, AWS_DEFAULT_REGION nor the AWS profile names one",
        next="set AWS_REGION (or --region), or work without AWS: SQSW_LOCAL=1 (or --local)",
    )


def _denied(error: AccessDenied, options: GivenOptions) -> SQSError:
    """Name the profile, or what is denied on what."""
    profile = options.profile or os.environ.get("AWS_PROFILE") or "default"
    why, next_step = error.why, error.next
    if error.message == "no AWS credentials found":
        why = f"looked at the environment, the profile {profile!r}, container and instance roles"
        next_step = f"{next_step} (or --local)"
    elif error.message == "the AWS credentials have expired":
        why = f"the session token of profile {profile!r} is no longer accepted [{error.code}]"
        next_step = (
            f"log in again (for example: aws sso login --profile {profile}) and repeat the command"
        )
    elif (denied := _NOT_AUTHORIZED.search(error.why or "")) is not None:
        why = f"{denied.group(1)} is denied on {denied.group(2)} [{error.code}]"
    return AccessDenied(error.message, why=why, next=next_step, code=error.code)
