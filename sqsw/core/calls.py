"""How a call reaches SQS: one interface, and the signals to make the call another way."""

from typing import Any, Final, Protocol

#: Actions that do not need botocore. Nearly all calls of a worker and of a sender are among them;
#: the last two are made once when a worker starts.
DIRECT_ACTIONS: Final = frozenset(
    {
        "ReceiveMessage",
        "DeleteMessageBatch",
        "ChangeMessageVisibilityBatch",
        "SendMessage",
        "SendMessageBatch",
        "GetQueueUrl",
        "GetQueueAttributes",
    }
)


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
