"""Queue attributes: their ranges, defaults, and on which queues they can be set.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqsw.local.errors import InvalidAttributeName, InvalidAttributeValue
from sqsw.local.rules.validate import read_json_object

Attributes = dict[str, str]

_DIGITS = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """The values that an attribute can have; if the default is None, it is absent until set."""

    kind: Literal["integer", "boolean", "choice", "json", "text", "read-only"]
    default: str | None = None
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    is_fifo_only: bool = False
    #: an empty string removes the attribute
    is_removable: bool = False


RULES: Final[Mapping[str, AttributeRule]] = {
    "DelaySeconds": AttributeRule("integer", "0", high=900),
    "MaximumMessageSize": AttributeRule("integer", "1048576", low=1024, high=1_048_576),
    "MessageRetentionPeriod": AttributeRule("integer", "345600", low=60, high=1_209_600),
    "ReceiveMessageWaitTimeSeconds": AttributeRule("integer", "0", high=20),
    "VisibilityTimeout": AttributeRule("integer", "30", high=43_200),
    "Policy": AttributeRule("json", is_removable=True),
    "RedrivePolicy": AttributeRule("json", is_removable=True),
    "RedriveAllowPolicy": AttributeRule("json", is_removable=True),
    "KmsMasterKeyId": AttributeRule("text", is_removable=True),
    "KmsDataKeyReusePeriodSeconds": AttributeRule("integer", low=60, high=86_400),
    "SqsManagedSseEnabled": AttributeRule("boolean", "true"),
    "FifoQueue": AttributeRule("boolean", "true", is_fifo_only=True),
    "ContentBasedDeduplication": AttributeRule("boolean", "false", is_fifo_only=True),
    "DeduplicationScope": AttributeRule(
        "choice", "queue", choices=("queue", "messageGroup"), is_fifo_only=True
    ),
    "FifoThroughputLimit": AttributeRule(
        "choice", "perQueue", choices=("perQueue", "perMessageGroupId"), is_fifo_only=True
    ),
    "ApproximateNumberOfMessages": AttributeRule("read-only"),
    "ApproximateNumberOfMessagesNotVisible": AttributeRule("read-only"),
    "ApproximateNumberOfMessagesDelayed": AttributeRule("read-only"),
    "CreatedTimestamp": AttributeRule("read-only"),
    "LastModifiedTimestamp": AttributeRule("read-only"),
    "QueueArn": AttributeRule("read-only"),
}

_DEFAULT_REUSE_SECONDS: Final = "300"

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
#: the most bytes of a policy, and statements in it
MAX_POLICY_BYTES: Final = 8_192
MAX_STATEMENTS: Final = 20


def check_known(names: list[str]) -> None:
    """Raise an error for attribute names that SQS does not know; ``All`` is allowed."""
    for name in names:
        if name != "All" and name not in RULES:
            raise unknown_attribute(name)


def unknown_attribute(name: str) -> InvalidAttributeName:
    return InvalidAttributeName(f"Unknown Attribute {name}.")


def invalid_attribute(name: str, reason: str | None = None) -> InvalidAttributeValue:
    text = f"Invalid value for the parameter {name}."
    return InvalidAttributeValue(f"{text} Reason: {reason}" if reason else text)


def read_given(given: Mapping[str, str], *, is_fifo: bool) -> Attributes:
    """Return the attributes of a request in stored form; an empty string means *remove*."""
    if given.get("KmsMasterKeyId") and given.get("SqsManagedSseEnabled", "").lower() == "true":
        raise InvalidAttributeName(
            "You can use one type of server-side encryption (SSE) at one time."
            " You can either enable KMS SSE or SQS SSE."
        )
    return {name: _read(name, value, is_fifo=is_fifo) for name, value in given.items()}


def merged(current: Mapping[str, str], given: Mapping[str, str]) -> Attributes:
    """Return ``current`` after a change by ``given``, which comes from :func:`read_given`."""
    result = dict(current)
    if given.get("KmsMasterKeyId"):
        result["SqsManagedSseEnabled"] = "false"
    if given.get("SqsManagedSseEnabled") == "true":
        result.pop("KmsMasterKeyId", None)
    for name, value in given.items():
        if value == "":
            result.pop(name, None)
        else:
            result[name] = value
    per_group = result.get("FifoThroughputLimit") == "perMessageGroupId"
    if per_group and result.get("DeduplicationScope") != "messageGroup":
        raise invalid_attribute(
            "FifoThroughputLimit",
            "perMessageGroupId requires the DeduplicationScope messageGroup.",
        )
    return result


def shown(stored: Mapping[str, str], *, is_fifo: bool) -> Attributes:
    result = {
        name: rule.default
        for name, rule in RULES.items()
        if rule.default is not None and (is_fifo or not rule.is_fifo_only)
    }
    result.update(stored)
    reuse = result.get("KmsDataKeyReusePeriodSeconds", _DEFAULT_REUSE_SECONDS)
    if "KmsMasterKeyId" in result:
        result["KmsDataKeyReusePeriodSeconds"] = reuse
    elif reuse == _DEFAULT_REUSE_SECONDS:
        result.pop("KmsDataKeyReusePeriodSeconds", None)
    return result


def _read(name: str, value: str, *, is_fifo: bool) -> str:
    rule = RULES.get(name)
    if rule is None or rule.kind == "read-only":
        raise unknown_attribute(name)
    if rule.is_fifo_only and not is_fifo:
        if name in ("FifoQueue", "ContentBasedDeduplication"):
            raise unknown_attribute(name)
        raise InvalidAttributeName(
            f"You can specify the {name} only when FifoQueue is set to true."
        )
    if value == "" and rule.is_removable:
        return ""
    if rule.kind == "integer":
        return _read_integer(name, value, rule)
    if rule.kind == "boolean":
        return _read_boolean(name, value)
    if rule.kind == "choice" and value not in rule.choices:
        raise invalid_attribute(name)
    if name == "Policy":
        _check_policy(value)
    return value


def statements_of(policy: Mapping[str, Any]) -> list[Any]:
    """Return the statements of a policy; a policy can have a single one outside of a list."""
    statements = policy.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def read_policy(text: str) -> dict[str, Any]:
    """Parse a policy.

    Raises
    ------
    InvalidAttributeValue
        It is not a JSON object, or could not be written again, because it has an unpaired
        surrogate, an infinite number, or too many levels.
    """
    policy = read_json_object(text)
    try:
        json.dumps(policy, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        policy = None
    if policy is None:
        raise invalid_attribute("Policy")
    return policy


def _check_policy(text: str) -> None:
    policy = read_policy(text)
    if len(text.encode()) > MAX_POLICY_BYTES:
        raise invalid_attribute("Policy", f"It can have at most {MAX_POLICY_BYTES} bytes.")
    if len(statements_of(policy)) > MAX_STATEMENTS:
        raise invalid_attribute("Policy", f"It can have at most {MAX_STATEMENTS} statements.")


def _read_integer(name: str, value: str, rule: AttributeRule) -> str:
    if not _DIGITS.fullmatch(value) or not rule.low <= int(value) <= rule.high:
        raise invalid_attribute(name)
    return str(int(value))


def _read_boolean(name: str, value: str) -> str:
    lowered = value.lower()
    if lowered not in ("true", "false"):
        raise invalid_attribute(name)
    if name == "FifoQueue" and lowered == "false":
        raise invalid_attribute(name, "Modifying queue type is not supported.")
    return lowered
