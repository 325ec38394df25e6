"""The interface of calls to SQS, and the exceptions that ask for boto3 instead."""

from typing import Any, Final, Protocol

#: The frequent calls: actions that do not need botocore, with the names of their methods in boto3.
#: Workers and senders hardly make any others. The last two are made when a worker starts.
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

    Make the same call through botocore, which handles all retries and errors.
    """


class Unanswered(NotPlain):
    """No complete answer arrived: the server may have made the call or not."""


class NoAnswerInTime(Unanswered):
    """No complete answer arrived before the deadline."""


class Calls(Protocol):
    """Makes calls of SQS by action, with the parameters and answers of boto3."""

    def call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make one of the calls in :data:`DIRECT_ACTIONS`.

        Raises
        ------
        NotPlain
            The call was not a plain success.
        """
