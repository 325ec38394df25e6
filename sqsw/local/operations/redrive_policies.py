"""Redrive policies and redrive allow policies.

A redrive policy names a dead-letter queue and a maximum receive count. A redrive allow policy
limits which queues can use a queue as their dead-letter queue.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
"""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqsw.local.errors import InvalidParameterValueException
from sqsw.local.rules import names
from sqsw.local.rules.attributes import invalid_attribute
from sqsw.local.rules.names import QueueArn
from sqsw.local.rules.validate import invalid_value, read_json_object, text_in_json
from sqsw.local.store import queue_rows
from sqsw.local.store.queue_rows import Queue
from sqsw.local.store.store import Store, Transaction

#: the highest maxReceiveCount
MAX_RECEIVE_COUNT: Final = 1_000
#: the most queues that a redrive allow policy can name
MAX_SOURCES: Final = 10


class RedrivePolicy(NamedTuple):
    """A dead-letter queue, and the receive count after which messages move there."""

    target: QueueArn
    max_receive_count: int

    def __str__(self) -> str:
        values = {
            "deadLetterTargetArn": str(self.target),
            "maxReceiveCount": self.max_receive_count,
        }
        return json.dumps(values, separators=(",", ":"))


def policy_of(queue: Queue) -> RedrivePolicy | None:
    text = queue.attributes.get("RedrivePolicy")
    if text is None:
        return None
    values = json.loads(text)  # normalized when it was set
    target = names.parse_arn(values["deadLetterTargetArn"])
    return RedrivePolicy(target, values["maxReceiveCount"]) if target else None


def target_of(transaction: Transaction, store: Store, queue: Queue) -> tuple[Queue, int] | None:
    """Return the dead-letter queue and the maximum receive count.

    None if the queue has no dead-letter queue, or that one no longer exists, or the queue is its
    own dead-letter queue; its messages then stay receivable.
    """
    policy = policy_of(queue)
    if policy is None or policy.target == queue.arn:
        return None
    target = queue_rows.by_arn(transaction, store, policy.target)
    return (target, policy.max_receive_count) if target else None


def sources_of(
    transaction: Transaction, store: Store, region: str, target: QueueArn
) -> Iterator[Queue]:
    """Yield the queues whose redrive policy names ``target``, sorted by name."""
    for queue in queue_rows.in_region(transaction, store, region):
        policy = policy_of(queue)
        if policy and policy.target == target:
            yield queue


def check_policies(
    transaction: Transaction, store: Store, given: dict[str, str], arn: QueueArn, *, is_fifo: bool
) -> None:
    """Check the redrive policies in ``given``, and replace them by their stored form."""
    if given.get("RedrivePolicy"):
        policy = _read_policy(given["RedrivePolicy"])
        if policy:
            _check_target(transaction, store, policy, arn, is_fifo=is_fifo)
        given["RedrivePolicy"] = str(policy) if policy else ""
    if given.get("RedriveAllowPolicy"):
        given["RedriveAllowPolicy"] = _read_allow_policy(given["RedriveAllowPolicy"])


def _read_policy(text: str) -> RedrivePolicy | None:
    """Return the policy; None if it is empty, which removes the policy."""
    values = read_json_object(text)
    if values == {}:
        return None
    if values is None:
        raise _invalid(text, "Redrive policy is not a valid JSON map.")
    if "deadLetterTargetArn" not in values or "maxReceiveCount" not in values:
        raise _invalid(text, "Redrive policy must contain deadLetterTargetArn and maxReceiveCount.")
    arn = values["deadLetterTargetArn"]
    target = _parse_arn(arn)
    if target is None:
        raise _invalid(text, "Dead letter target does not exist.")
    count = values["maxReceiveCount"]
    if isinstance(count, str) and count.isascii() and count.isdigit() and len(count) <= 4:
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int):
        raise _invalid(text, "maxReceiveCount must be an integer.")
    if not 1 <= count <= MAX_RECEIVE_COUNT:
        raise _invalid(text, f"maxReceiveCount must be between 1 and {MAX_RECEIVE_COUNT}.")
    return RedrivePolicy(target, count)


def _check_target(
    transaction: Transaction, store: Store, policy: RedrivePolicy, arn: QueueArn, *, is_fifo: bool
) -> None:
    text = str(policy)
    if policy.target == arn:
        return  # allowed, but target_of() ignores it
    target = queue_rows.by_arn(transaction, store, policy.target)
    if target is None or target.arn.region != arn.region:
        raise _invalid(text, "Dead letter target does not exist.")
    if target.is_fifo != is_fifo:
        raise _invalid(text, "Dead-letter queue must be same type of queue as the source.")
    if not _allows(target, arn):
        raise _invalid(text, "Dead letter target does not allow this source queue.")


def _allows(target: Queue, source: QueueArn) -> bool:
    values = json.loads(target.attributes.get("RedriveAllowPolicy", "{}"))
    permission = values.get("redrivePermission", "allowAll")
    if permission == "byQueue":
        return str(source) in values["sourceQueueArns"]
    return bool(permission == "allowAll")


def _read_allow_policy(text: str) -> str:
    values = read_json_object(text)
    if values is None:
        raise invalid_attribute("RedriveAllowPolicy", "It is not a valid JSON map.")
    if values == {}:
        return ""
    permission, sources = values.get("redrivePermission"), values.get("sourceQueueArns")
    if permission not in ("allowAll", "denyAll", "byQueue"):
        raise invalid_attribute(
            "RedriveAllowPolicy", "redrivePermission must be allowAll, denyAll or byQueue."
        )
    if permission != "byQueue":
        if sources is not None:
            raise invalid_attribute(
                "RedriveAllowPolicy", "sourceQueueArns is only for redrivePermission byQueue."
            )
    elif not _are_arns(sources):
        raise invalid_attribute(
            "RedriveAllowPolicy", f"sourceQueueArns must name 1 to {MAX_SOURCES} queues."
        )
    return text


def _are_arns(sources: object) -> bool:
    return (
        isinstance(sources, list)
        and 1 <= len(sources) <= MAX_SOURCES
        and all(map(_parse_arn, sources))
    )


def _parse_arn(value: object) -> QueueArn | None:
    text = text_in_json(value)
    return None if text is None else names.parse_arn(text)


def _invalid(policy: str, reason: str) -> InvalidParameterValueException:
    return invalid_value("RedrivePolicy", policy, reason)
