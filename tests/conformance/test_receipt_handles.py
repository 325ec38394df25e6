"""A receipt handle identifies one delivery: what it can do, and for how long."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import is_empty, refused, send, take_one

MakeQueue = Callable[..., str]

OPERATIONS: dict[str, dict[str, Any]] = {
    "delete_message": {},
    "change_message_visibility": {"VisibilityTimeout": 0},
}


def delete(client: Any, url: str, message: dict[str, Any]) -> None:
    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def hide(client: Any, url: str, message: dict[str, Any], seconds: int = 30) -> None:
    client.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
    )


def received(client: Any, url: str, **options: Any) -> dict[str, Any]:
    """Send a message, receive it, and return it."""
    if url.endswith(".fifo"):
        send(client, url, "x", MessageGroupId="g", MessageDeduplicationId="d")
    else:
        send(client, url, "x")
    return take_one(client, url, **options)


@pytest.mark.known_difference(
    moto="uses different error texts", elasticmq="uses different error texts"
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_text_that_is_not_a_handle_is_refused(
    client: Any, make_queue: MakeQueue, operation: str
) -> None:
    with refused(
        "ReceiptHandleIsInvalid",
        'The input receipt handle "nonsense" is not a valid receipt handle.',
    ):
        getattr(client, operation)(
            QueueUrl=make_queue(), ReceiptHandle="nonsense", **OPERATIONS[operation]
        )


@pytest.mark.known_difference(
    moto="uses different error texts", elasticmq="uses different error texts"
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_handle_of_another_queue_is_refused(
    client: Any, make_queue: MakeQueue, operation: str
) -> None:
    url, other = make_queue(), make_queue()
    handle = received(client, url)["ReceiptHandle"]
    with refused(
        "ReceiptHandleIsInvalid",
        f'The input receipt handle "{handle}" is not a valid receipt handle.',
    ):
        getattr(client, operation)(QueueUrl=other, ReceiptHandle=handle, **OPERATIONS[operation])


# -- standard queues -------------------------------------------------------------------------


def test_a_handle_deletes_its_message(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="1")
    delete(client, url, received(client, url))
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


def test_an_expired_handle_deletes_its_message(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    message = received(client, url)
    clock.pass_seconds(1.1)
    delete(client, url, message)
    assert is_empty(client, url)


@pytest.mark.known_difference(moto="uses different error codes", elasticmq="refuses older handles")
def test_an_older_handle_deletes_a_message_that_was_received_again(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    first = received(client, url, VisibilityTimeout=0)
    second = take_one(client, url)
    delete(client, url, first)
    hide_refused = refused("InvalidParameterValue", "Message does not exist or is not available")
    with hide_refused:
        hide(client, url, second, 0)


@pytest.mark.known_difference(elasticmq="refuses the second delete")
def test_deleting_twice_succeeds(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    message = received(client, url)
    for _ in range(2):
        delete(client, url, message)


def test_an_expired_handle_hides_its_message(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    message = received(client, url)
    clock.pass_seconds(1.1)
    hide(client, url, message)
    assert is_empty(client, url)


@pytest.mark.known_difference(elasticmq="refuses older handles")
def test_an_older_handle_hides_its_message(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    first = received(client, url, VisibilityTimeout=0)
    take_one(client, url, VisibilityTimeout=0)
    hide(client, url, first)
    assert is_empty(client, url)


@pytest.mark.known_difference(
    moto="uses different error codes", elasticmq="uses different error codes"
)
def test_a_deleted_message_cannot_be_hidden(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    message = received(client, url)
    delete(client, url, message)
    with refused(
        "InvalidParameterValue",
        f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: Message"
        " does not exist or is not available for visibility timeout change.",
    ):
        hide(client, url, message)


# -- FIFO queues -----------------------------------------------------------------------------


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_an_expired_handle_of_a_fifo_queue_is_refused(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    message = received(client, url, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    with refused(
        "InvalidParameterValue",
        f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: The"
        " receipt handle has expired.",
    ):
        delete(client, url, message)
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(
    moto="uses different error codes", elasticmq="uses different error codes"
)
def test_an_extended_handle_of_a_fifo_queue_deletes_its_message(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    message = received(client, url, VisibilityTimeout=1)
    hide(client, url, message, 60)
    clock.pass_seconds(1.1)
    delete(client, url, message)
    hide_refused = refused("InvalidParameterValue", "Message does not exist or is not available")
    with hide_refused:
        hide(client, url, message, 0)


@pytest.mark.known_difference(elasticmq="refuses the second delete")
def test_deleting_twice_from_a_fifo_queue_succeeds(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    message = received(client, url)
    for _ in range(2):
        delete(client, url, message)


# -- messages that have expired --------------------------------------------------------------


@pytest.mark.moves_clock
@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_deleting_an_expired_message_succeeds(
    client: Any, clock: Any, make_queue: MakeQueue, fifo: bool
) -> None:
    url = make_queue(fifo=fifo, MessageRetentionPeriod="60", VisibilityTimeout="120")
    message = received(client, url)
    clock.pass_seconds(60)
    delete(client, url, message)
