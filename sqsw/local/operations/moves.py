"""StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
and the pages of the other two operations.
"""

import base64
import binascii
import json
from typing import Any, Final

from sqsw.local.errors import InvalidParameterValueException, ResourceNotFoundException
from sqsw.local.operations import move_tasks, redrive_policies
from sqsw.local.operations.move_tasks import CANCELLED, FAILED, RUNNING, MoveTask
from sqsw.local.rules import names
from sqsw.local.rules.validate import (
    Params,
    check_range,
    invalid_value,
    read_json_object,
    text_in_json,
)
from sqsw.local.store import message_queries, queue_rows
from sqsw.local.store.queue_rows import Queue
from sqsw.local.store.store import Store, Transaction

#: the highest rate, in messages per second
_MAX_RATE: Final = 500
#: the most tasks in one answer; older ones are deleted
_MAX_RESULTS: Final = 10


def start_message_move_task(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Start to move the current messages of a dead-letter queue; move the first ones at once."""
    with store.write() as transaction:
        source = _find(transaction, store, params, "SourceArn")
        if not any(redrive_policies.sources_of(transaction, store, source.arn.region, source.arn)):
            raise InvalidParameterValueException(
                "Source queue must be configured as a Dead Letter Queue."
            )
        destination = params.text("DestinationArn")
        if destination is not None:
            target = _find(transaction, store, params, "DestinationArn")
            if target.is_fifo != source.is_fifo:
                raise invalid_value(
                    "DestinationArn",
                    destination,
                    "The destination must be of the same type of queue as the source.",
                )
        rate = check_range(
            params,
            "MaxNumberOfMessagesPerSecond",
            1,
            _MAX_RATE,
            f"MaxNumberOfMessagesPerSecond must be an integer between 1 and {_MAX_RATE}.",
        )
        if any(task.source == source.id for task in move_tasks.running(transaction)):
            raise InvalidParameterValueException(
                "There is already a task running. Only one active task is allowed for a source"
                " queue arn at a given time."
            )
        task = _insert(transaction, source, destination, rate, now)
        # In the same transaction: if the file is locked, the server repeats the whole call. If the
        # task were already stored, the second call would be refused.
        move_tasks.step(transaction, store, task, now)
    return {"TaskHandle": _handle(task)}


def list_message_move_tasks(store: Store, params: Params, now: int) -> dict[str, Any]:
    most = check_range(
        params,
        "MaxResults",
        1,
        _MAX_RESULTS,
        f"MaxResults must be an integer between 1 and {_MAX_RESULTS}.",
    )
    with store.read() as transaction:
        source = _find(transaction, store, params, "SourceArn")
        tasks = _latest(transaction, source, most or 1)
    return {"Results": [_shown(task) for task in tasks]}


def cancel_message_move_task(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Stop a task; messages that it has moved are not moved back."""
    task_id, source_arn = _read_handle(params.required_text("TaskHandle"))
    with store.write() as transaction:
        arn = names.parse_arn(source_arn)
        if arn is None or queue_rows.by_arn(transaction, store, arn) is None:
            raise _not_found("SourceArn")
        row = transaction.row(
            "SELECT * FROM move_tasks WHERE id = ? AND source_arn = ?", (task_id, source_arn)
        )
        if row is None:
            raise ResourceNotFoundException("Task does not exist.")
        task = MoveTask(*row)
        if task.status != RUNNING:
            raise InvalidParameterValueException("Only active tasks can be cancelled.")
        move_tasks.end(transaction, task, CANCELLED)
    return {"ApproximateNumberOfMessagesMoved": task.moved}


def _find(transaction: Transaction, store: Store, params: Params, name: str) -> Queue:
    arn = names.parse_arn(params.required_text(name))
    if arn is None:
        raise InvalidParameterValueException(
            f"You must use this format to specify the {name}:"
            " arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        )
    queue = queue_rows.by_arn(transaction, store, arn)
    if queue is None or arn.region != params.region:
        raise _not_found(name)
    return queue


def _not_found(name: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(
        f"The resource that you specified for the {name} parameter doesn't exist."
    )


def _insert(
    transaction: Transaction, source: Queue, destination: str | None, rate: int | None, now: int
) -> MoveTask:
    for old in _latest(transaction, source, -1)[_MAX_RESULTS - 1 :]:
        transaction.execute("DELETE FROM move_tasks WHERE id = ?", (old.id,))
    ready = message_queries.counts(transaction, source, now)[0]
    last = transaction.row("SELECT last FROM seqs")[0]
    task = MoveTask(
        names.new_id(),
        source.id,
        str(source.arn),
        destination,
        rate,
        RUNNING,
        now,
        ready,
        0,
        last,
        None,
    )
    transaction.execute("INSERT INTO move_tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", task)
    return task


def _latest(transaction: Transaction, source: Queue, most: int) -> list[MoveTask]:
    rows = transaction.rows(
        "SELECT * FROM move_tasks WHERE source = ? ORDER BY rowid DESC LIMIT ?", (source.id, most)
    )
    return [MoveTask(*row) for row in rows]


def _shown(task: MoveTask) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Status": task.status,
        "SourceArn": task.source_arn,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": task.started_at,
    }
    if task.status == RUNNING:
        shown["TaskHandle"] = _handle(task)
    if task.destination_arn is not None:
        shown["DestinationArn"] = task.destination_arn
    if task.rate is not None:
        shown["MaxNumberOfMessagesPerSecond"] = task.rate
    if task.status == FAILED:
        shown["FailureReason"] = task.failure
    return shown


def _handle(task: MoveTask) -> str:
    values = {"taskId": task.id, "sourceArn": task.source_arn}
    return base64.b64encode(json.dumps(values, separators=(",", ":")).encode()).decode()


def _read_handle(handle: str) -> tuple[str, str]:
    try:
        values = read_json_object(base64.b64decode(handle, validate=True)) or {}
    except (ValueError, binascii.Error):
        values = {}
    task_id, source_arn = map(text_in_json, (values.get("taskId"), values.get("sourceArn")))
    if task_id is None or source_arn is None:
        raise InvalidParameterValueException("Value for parameter TaskHandle is invalid.")
    return task_id, source_arn
