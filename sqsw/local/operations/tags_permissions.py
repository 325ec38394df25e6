"""Tags of queues, and the permissions in their policies; policies are stored but not enforced.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html
and .../API_TagQueue.html
"""

import json
import re
from typing import Any, Final

from sqsw.local.errors import MissingRequiredParameterException, OverLimit
from sqsw.local.rules.attributes import (
    MAX_POLICY_BYTES,
    MAX_STATEMENTS,
    read_policy,
    statements_of,
)
from sqsw.local.rules.tags import check_tag_key, check_tags, no_tag_key
from sqsw.local.rules.validate import Params, invalid_value
from sqsw.local.store import queue_rows
from sqsw.local.store.queue_rows import Queue, find_queue
from sqsw.local.store.store import Store, Transaction

#: the most actions in one AddPermission
_MAX_ACTIONS: Final = 7
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_SHARED_ACTIONS: Final = frozenset(
    {
        "*",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
    }
)


def tag_queue(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Add tags; an existing tag gets the new value."""
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        added = params.text_map("Tags")
        if not added:
            raise MissingRequiredParameterException("Tags")
        tags = {**queue.tags, **added}
        check_tags(queue.name, tags)
        _save_tags(transaction, queue, tags)
    return {}


def untag_queue(store: Store, params: Params, now: int) -> dict[str, Any]:
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        keys = params.texts("TagKeys")
        if not keys:
            raise no_tag_key()
        for key in keys:
            check_tag_key(key)
        _save_tags(
            transaction,
            queue,
            {key: value for key, value in queue.tags.items() if key not in keys},
        )
    return {}


def list_queue_tags(store: Store, params: Params, now: int) -> dict[str, Any]:
    with store.read() as transaction:
        tags = find_queue(transaction, store, params).tags
    return {"Tags": dict(tags)} if tags else {}


def add_permission(store: Store, params: Params, now: int) -> dict[str, Any]:
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        label = params.required_text("Label")
        if not _LABEL.fullmatch(label):
            raise invalid_value(
                "Label",
                label,
                "It can only include alphanumeric characters, hyphens, or underscores."
                " 1 to 80 in length.",
            )
        actions = _read_actions(params)
        accounts = _read_accounts(params)
        policy = _policy(queue)
        if any(_has_label(statement, label) for statement in policy["Statement"]):
            raise invalid_value("Label", label, "Already exists.")
        policy["Statement"].append(_statement(queue, label, accounts, actions))
        if (
            len(policy["Statement"]) > MAX_STATEMENTS
            or len(_written(policy).encode()) > MAX_POLICY_BYTES
        ):
            raise OverLimit(
                f"A policy can have at most {MAX_STATEMENTS} statements and {MAX_POLICY_BYTES}"
                " bytes."
            )
        _save_policy(transaction, queue, policy, now)
    return {}


def remove_permission(store: Store, params: Params, now: int) -> dict[str, Any]:
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        label = params.required_text("Label")
        policy = _policy(queue)
        rest = [statement for statement in policy["Statement"] if not _has_label(statement, label)]
        if len(rest) == len(policy["Statement"]):
            raise invalid_value("Label", label, "can't find label.")
        policy["Statement"] = rest
        _save_policy(transaction, queue, policy, now)
    return {}


def _save_tags(transaction: Transaction, queue: Queue, tags: dict[str, str]) -> None:
    transaction.execute("UPDATE queues SET tags = ? WHERE id = ?", (json.dumps(tags), queue.id))


def _read_actions(params: Params) -> list[str]:
    actions = params.texts("Actions")
    if not actions:
        raise MissingRequiredParameterException("Actions")
    if len(actions) > _MAX_ACTIONS:
        raise OverLimit(f"{len(actions)} Actions were found, maximum allowed is {_MAX_ACTIONS}.")
    for action in actions:
        if action not in _SHARED_ACTIONS:
            raise invalid_value(
                "ActionName",
                f"SQS:{action}",
                "Only the queue owner is allowed to invoke this action.",
            )
    return actions


def _read_accounts(params: Params) -> list[str]:
    accounts = params.texts("AWSAccountIds")
    if not accounts or not all(_ACCOUNT.fullmatch(account) for account in accounts):
        raise invalid_value("PrincipalId", json.dumps(accounts), "Unable to verify.")
    return accounts


def _policy(queue: Queue) -> dict[str, Any]:
    """Return the queue's policy, with its statements in a list even if it has only one."""
    text = queue.attributes.get("Policy")
    if text is None:
        return {
            "Version": "2008-10-17",
            "Id": f"{queue.arn}/SQSDefaultPolicy",
            "Statement": [],
        }
    policy = read_policy(text)  # check it again: an older release accepted more
    policy["Statement"] = statements_of(policy)
    return policy


def _statement(queue: Queue, label: str, accounts: list[str], actions: list[str]) -> dict[str, Any]:
    return {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": _one_or_list([f"arn:aws:iam::{a}:root" for a in accounts])},
        "Action": _one_or_list([f"SQS:{action}" for action in actions]),
        "Resource": str(queue.arn),
    }


def _one_or_list(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _has_label(statement: object, label: str) -> bool:
    return isinstance(statement, dict) and statement.get("Sid") == label


def _written(policy: dict[str, Any]) -> str:
    return json.dumps(policy, ensure_ascii=False, separators=(",", ":"))


def _save_policy(transaction: Transaction, queue: Queue, policy: dict[str, Any], now: int) -> None:
    stored = dict(queue.attributes)
    if policy["Statement"]:
        stored["Policy"] = _written(policy)
    else:
        stored.pop("Policy", None)
    queue_rows.save_attributes(transaction, queue, stored, now)
