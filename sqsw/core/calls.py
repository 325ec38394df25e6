"""How a call reaches SQS: one interface, and the signals to make the call another way."""

from typing import Any, Final, Protocol

#: Actions that do not need botocore, each with the name of its method in boto3. Nearly all calls of
#: a worker and of a sender are among them; the last two are made once when a worker starts.
METHODS: Final = {
    "ReceiveMessage": "receive_message",
    "DeleteMessageBatch": "delete_message_batch",
    "ChangeMessageVisibilityBatch": "change_message_visibility_batch",
    "SendMessage": "send_message",
    "SendMessageBatch": "send_message_batch",
    "GetQueueUrl": "get_queue_url",
    "GetQueueAttributes": "get_queue_attributes",
}

DIRECT_ACTIONS: Final = frozenset(METHODS)


class NotPlain(Exception):
    """The call did not end in a plain success, or this way cannot make it.

    Make the same call through botocore: its retries and its errors are those of the library.
    """


class NoAnswerInTime(NotPlain):
    """The request was sent, and no answer came before the deadline."""


class Calls(Protocol):
    """Calls of SQS by name, with the parameters and answers of boto3."""

    def call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make one call of :data:`DIRECT_ACTIONS`.

        Raises
        ------
        NotPlain
            Anything but a plain success.
        """
