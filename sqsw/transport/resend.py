"""Create an entry that sends a received message to another queue."""

from sqsw.core.message import Message
from sqsw.transport.batches import Entry, fit_to_queue
from sqsw.transport.queue_client import QueueClient

_KEPT = ("DataType", "StringValue", "BinaryValue")


def entry_to_resend(message: Message, destination: QueueClient) -> Entry:
    """Return an entry with the body and attributes of this message, for another queue.

    On a FIFO queue, the message ID becomes the deduplication ID, as in SQS's own dead-letter
    queues. With the original one, SQS would accept the message but drop it as a duplicate if it was
    first sent less than five minutes ago.
    """
    entry: Entry = {"MessageBody": message.body}
    if message.message_attributes:
        # An answer can have empty lists next to the value; SQS refuses them in a send.
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
