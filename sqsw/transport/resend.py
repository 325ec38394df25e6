"""Turn a received message into an entry to send again."""

from sqsw.core.message import Message
from sqsw.transport.batches import Entry, fit_to_queue
from sqsw.transport.queue_client import QueueClient

_KEPT = ("DataType", "StringValue", "BinaryValue")


def entry_to_resend(message: Message, destination: QueueClient) -> Entry:
    """Return the entry to send this message to another queue, with the same body and attributes.

    On a FIFO queue, the message ID becomes the deduplication ID, as in SQS's own dead-letter
    queues. Within its five minutes, SQS would accept the original one but store nothing.
    """
    entry: Entry = {"MessageBody": message.body}
    if message.message_attributes:
        # An answer can have empty lists next to the value, which SQS refuses in a send.
        entry["MessageAttributes"] = {
            name: {key: attribute[key] for key in _KEPT if key in attribute}
            for name, attribute in message.message_attributes.items()
        }
    trace = message.attributes.get("AWSTraceHeader")
    if trace:
        header = {"DataType": "String", "StringValue": trace}
        entry["MessageSystemAttributes"] = {"AWSTraceHeader": header}
    if message.group_id is not None:
        entry["MessageGroupId"] = message.group_id
    if destination.is_fifo:
        entry["MessageDeduplicationId"] = message.message_id
    fit_to_queue(entry, is_fifo=destination.is_fifo, queue_name=destination.name)
    return entry
