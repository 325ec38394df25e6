"""A message that was received, as it is to be sent on."""

from sqsw.core.message import Message
from sqsw.transport.batches import Entry, fit_to_queue
from sqsw.transport.queue_client import QueueClient

_KEPT = ("DataType", "StringValue", "BinaryValue")


def entry_to_resend(message: Message, destination: QueueClient) -> Entry:
    """The message as it is to be sent on: its body and its attributes byte for byte.

    To a FIFO queue the message id goes as deduplication id, as in SQS's own dead-letter queues: the
    original one could still be in its five minutes, and SQS would answer yes and store nothing.
    """
    entry: Entry = {"MessageBody": message.body}
    if message.message_attributes:
        # An answer may bring empty lists beside the value, which SQS does not take back.
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
