"""Parse and convert queue names, queue URLs and ARNs."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqsw.core.errors import SettingsError
from sqsw.core.wording import without_password

_DEAD_LETTER_ENDINGS = (
    *("_deadletters", "-deadletters", "_deadletter", "-deadletter"),
    *("_dead", "-dead", "_dlq", "-dlq"),
)

# One line per partition, from botocore's endpoints.json and partitions.json. The hosts with "api"
# also support IPv6.
_AWS_HOSTS = (
    *(".amazonaws.com", ".api.aws", ".amazonaws.eu", ".api.amazonwebservices.eu"),
    *(".amazonaws.com.cn", ".api.amazonwebservices.com.cn"),
    *(".c2s.ic.gov", ".sc2s.sgov.gov", ".cloud.adc-e.uk", ".csp.hci.ic.gov"),
    *(".api.aws.ic.gov", ".api.aws.scloud", ".api.cloud-aws.adc-e.uk", ".api.aws.hci.ic.gov"),
)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(\.fifo)?")

_REGION = re.compile(r"[a-z]+(-[a-z]+)+-[0-9]{1,2}")


def is_fifo(queue_name: str) -> bool:
    return queue_name.endswith(".fifo")


@dataclass(frozen=True, slots=True)
class QueueRef:
    """A queue, identified by its name, its URL or its ARN.

    Attributes
    ----------
    name :
        The queue name without the prefix if a name was given, otherwise the full name in SQS.
    url :
        The queue URL, if one was given.
    arn :
        The ARN, if one was given.
    """

    name: str
    url: str | None = None
    arn: str | None = None

    @classmethod
    def parse(cls, text: str) -> "QueueRef":
        """Parse a name, a URL or an ARN.

        Raises
        ------
        SettingsError
            The text is empty, or is a malformed URL or ARN.
        """
        if text.startswith(("http://", "https://")):
            try:
                account, name = account_and_name(text)
            except ValueError as error:  # a host in brackets that is not an IPv6 address
                raise _no_url(text, str(error)) from error
            if not account:
                raise _no_url(
                    text, "it must end with account and name: https://HOST/123456789012/emails"
                )
            return cls(name, url=text)
        if text.startswith("arn:"):
            parts = text.split(":")
            if len(parts) != 6 or parts[2] != "sqs" or not all(parts):
                raise SettingsError(
                    f"{text!r} is not a queue ARN",
                    why="the form is arn:aws:sqs:REGION:ACCOUNT:NAME",
                )
            return cls(parts[5], arn=text)
        if not text:
            raise SettingsError("a queue name cannot be empty")
        return cls(text)


def check_queue_name(name: object) -> str:
    """Return a queue name as a plain str; for a member of a str enum, its value.

    Raises
    ------
    TypeError
        It is not a str.
    SettingsError
        It is empty, or contains a space or a control character.
    """
    if not isinstance(name, str):
        what = "a function" if callable(name) else f"a {type(name).__name__}"
        raise TypeError(
            f"a queue name must be a str, not {what}: pass the queue name first, "
            "as in @env.processor('emails', 'send_email')"
        )
    text = str.__str__(name)
    if not text:
        raise SettingsError("a queue name cannot be empty")
    if not text.isprintable() or " " in text:
        raise SettingsError(
            f"{text!r} is not a valid queue name",
            why="SQS allows letters, digits, - and _ in a queue name",
        )
    return text


def check_parking_queue_name(name: str) -> str:
    """Return the name of a queue that can be a parking queue.

    Raises
    ------
    SettingsError
        It is not the name of a queue, or it is the name of a FIFO queue.
    """
    if not is_plain_queue_name(name):
        raise SettingsError(
            f"{name!r} cannot be the name of a parking queue",
            reason="parking",
            why="the name of a parking queue has only letters, digits, - and _",
        )
    if is_fifo(name):
        raise SettingsError(
            f"the parking queue cannot be the FIFO queue {name!r}",
            reason="parking",
            why="in a FIFO queue, a job that waits holds up the later jobs of its group",
            next=f"use a standard queue, such as {name.removesuffix('.fifo')!r}",
        )
    return name


def is_plain_queue_name(text: str) -> bool:
    """Return whether a text can be the name of a queue, and is neither a URL nor an ARN."""
    return _PLAIN_NAME.fullmatch(text) is not None


def has_only_parked_jobs(queue_name: str) -> SettingsError:
    """Return the error for jobs on the parking queue, which would run before they are due."""
    return SettingsError(
        f"the parking queue {queue_name!r} cannot have jobs of its own",
        reason="parking",
        why="its messages are jobs of other queues, which are not due yet",
        next="use another queue for the jobs, or another one for parking",
    )


def _no_url(text: str, why: str) -> SettingsError:
    return SettingsError(f"{without_password(text)!r} is not a queue URL", why=why)


def name_of_arn(arn: str) -> str:
    return arn.rpartition(":")[2]


def name_of_url(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def account_and_name(url: str) -> tuple[str, str]:
    account, _, name = urlsplit(url).path.strip("/").rpartition("/")
    return account.rpartition("/")[2], name


def region_of_url(url: str) -> str | None:
    """Return the region in an AWS queue URL, current or legacy, or None."""
    host = str(urlsplit(url).hostname)
    if host == "queue.amazonaws.com":
        return "us-east-1"
    if not host.endswith(_AWS_HOSTS):
        return None
    return next((label for label in host.split(".") if _REGION.fullmatch(label)), None)


def is_aws_endpoint(endpoint_url: str) -> bool:
    """Return whether this is an AWS endpoint, not another SQS-compatible server."""
    return str(urlsplit(endpoint_url).hostname).endswith(_AWS_HOSTS)


def dead_letter_name(queue_name: str) -> str:
    ending = ".fifo" if is_fifo(queue_name) else ""
    return f"{queue_name.removesuffix('.fifo')}_dead{ending}"


def source_by_name(queue_name: str) -> str | None:
    """Return a dead-letter queue's source queue, without ``.fifo``, or None for other names."""
    plain = queue_name.removesuffix(".fifo")
    for ending in _DEAD_LETTER_ENDINGS:
        if plain.endswith(ending) and plain != ending:
            return plain.removesuffix(ending)
    return None
