"""The known differences between the embedded SQS and moto or ElasticMQ, and which is right.

The behavior of SQS itself decides. The comparison fails if there is a difference that is not listed
here, or if a listed one no longer occurs.
"""

from fnmatch import fnmatchcase
from typing import NamedTuple

from tests.model.shapes import Seen


class Known(NamedTuple):
    """A difference: a pattern for calls, our answer, their answer, and the verdict."""

    words: str
    ours: str
    theirs: str
    verdict: str

    def covers(self, seen: Seen) -> bool:
        return fnmatchcase(seen.words, self.words) and (self.ours, self.theirs) == (
            seen.ours,
            seen.theirs,
        )


INVALID = "InvalidParameterValue (400)"
NO_HANDLE = "ReceiptHandleIsInvalid (400)"
_CODES = "AWS.SimpleQueueService."

_SENDER = Known(
    "*: receive*",
    "Messages[].Attributes.SenderId: digits",
    "Messages[].Attributes.SenderId: text",
    "Both: it is the id of the signer; here that is the account.",
)
_NO_TAGS = Known(
    "*: tags",
    "Tags: absent",
    "Tags: an empty map",
    "Ours: SQS omits empty members; without tags, there is no member Tags.",
)
_ANY_ATTRIBUTE = Known(
    "*: receive an unknown attribute",
    "InvalidAttributeName (400)",
    "accepted",
    "Ours: SQS refuses unknown system attributes instead of omitting them.",
)
_HIDE_GONE = Known(
    "*: hide",
    INVALID,
    NO_HANDLE,
    "Ours: the handle is valid, but its message is gone; SQS reports an invalid parameter.",
)
_HIDE_GONE_IN_A_BATCH = Known(
    "*: make visible in a batch",
    "failed: InvalidParameterValue",
    "failed: ReceiptHandleIsInvalid",
    "Ours: as for a single change, a handle whose message is gone is an invalid parameter.",
)
_HIDE_EXPIRED = Known(
    "FIFO: hide",
    INVALID,
    "accepted",
    "Ours: on a FIFO queue a handle whose visibility timeout is over changes nothing.",
)

_BATCH_SIZE = "Ours: a message that is too long fails as an entry; the other entries succeed."

_BOTH = (
    _SENDER,
    _NO_TAGS,
    _ANY_ATTRIBUTE,
    _HIDE_GONE,
    _HIDE_GONE_IN_A_BATCH,
    _HIDE_EXPIRED,
)

MOTO = (
    *_BOTH,
    Known(
        "standard: make visible",
        INVALID,
        NO_HANDLE,
        "Ours: the handle is valid, but its message is gone; SQS reports an invalid parameter.",
    ),
    *(
        Known(
            "*: all attributes",
            f"Attributes.{name}: digits",
            f"Attributes.{name}: text",
            "Ours: the time is in whole seconds.",
        )
        for name in ("CreatedTimestamp", "LastModifiedTimestamp")
    ),
    Known(
        "*batch*",
        "Failed: absent",
        "Failed: an empty list",
        "Ours: SQS omits empty members; if no entry failed, there is no member Failed.",
    ),
    Known(
        "FIFO: delete",
        INVALID,
        "accepted",
        "Ours: on a FIFO queue a handle whose visibility timeout is over deletes nothing.",
    ),
    Known(
        "FIFO: delete",
        "accepted",
        NO_HANDLE,
        "Ours: a handle stays valid after its message was purged or moved to the dead-letter"
        " queue; deleting the message again succeeds.",
    ),
    Known(
        "*: delete a batch of one message twice",
        "accepted",
        _CODES + "BatchEntryIdsNotDistinct (400)",
        "Ours: only the ids of entries must differ; deleting a message twice succeeds.",
    ),
    Known(
        "FIFO: receive with a timeout of 0",
        "messages",
        "more or other messages",
        "Ours: the deduplication id of a message is remembered for five minutes, also when the"
        " message has gone to the dead-letter queue; moto stores the second one.",
    ),
    Known(
        "*: send a batch: a body that is too long",
        "failed: InvalidParameterValue",
        INVALID,
        _BATCH_SIZE,
    ),
    Known(
        "FIFO: send a batch: no group",
        INVALID,
        "MissingParameter (400)",
        "Ours: in a batch, this error has a different code than in a single send.",
    ),
    Known(
        "*: send: a forbidden character",
        "InvalidMessageContents (400)",
        "accepted",
        "Ours: SQS does not accept the character NUL.",
    ),
    Known(
        "standard: send a batch: a forbidden character",
        "failed: InvalidMessageContents",
        "accepted",
        "Ours: SQS does not accept the character NUL, in a batch either.",
    ),
    Known(
        "*: send: an empty body",
        "MissingParameter (400)",
        "accepted",
        "Ours: a message has at least one character.",
    ),
    Known(
        "standard: send: a deduplication id",
        INVALID,
        "accepted",
        "Ours: only FIFO queues accept a deduplication id.",
    ),
)

_ELASTICMQ_ATTRIBUTES = tuple(
    Known(
        f"{kind}: all attributes",
        f"Attributes.{name}",
        f"Attributes.{name.partition(':')[0]}: absent",
        "Ours: All returns every attribute of this type of queue, with defaults.",
    )
    for kind, name in (
        ("*", "MaximumMessageSize: digits"),
        ("*", "MessageRetentionPeriod: digits"),
        ("*", "SqsManagedSseEnabled: text"),
        ("FIFO", "DeduplicationScope: text"),
        ("FIFO", "FifoThroughputLimit: text"),
    )
)

ELASTICMQ = (
    *_BOTH,
    *_ELASTICMQ_ATTRIBUTES,
    Known(
        "*: * batch of none",
        _CODES + "EmptyBatchRequest (400)",
        "accepted",
        "Ours: a batch has at least one entry.",
    ),
    Known(
        "FIFO: hide for 43201 seconds",
        INVALID,
        NO_HANDLE,
        "Ours: the number is out of range, for any handle.",
    ),
    Known(
        "standard: hide for 43201 seconds",
        INVALID,
        "accepted",
        "Ours: the maximum is twelve hours.",
    ),
    Known(
        "FIFO: make visible in a batch",
        "failed: InvalidParameterValue",
        "accepted",
        "Ours: on a FIFO queue a handle whose visibility timeout is over changes nothing.",
    ),
    Known(
        "*: purge",
        _CODES + "PurgeQueueInProgress (403)",
        "accepted",
        "Ours: a queue can be purged once in 60 seconds.",
    ),
    Known(
        "*: receive*",
        "Messages: absent",
        "Messages: an empty list",
        "Ours: SQS omits empty members; without messages, there is no member Messages.",
    ),
    Known(
        "*: receive 11",
        INVALID,
        "InvalidAttributeValue (400)",
        "Ours: it is a parameter; InvalidAttributeValue is for attributes of queues.",
    ),
    Known(
        "*: receive with a wait of 21",
        INVALID,
        "InvalidAttributeValue (400)",
        "Ours: it is a parameter; InvalidAttributeValue is for attributes of queues.",
    ),
    Known(
        "standard: receive with a timeout of 43201",
        INVALID,
        "accepted",
        "Ours: the maximum is twelve hours.",
    ),
    Known(
        "*: send a batch of one id twice",
        _CODES + "BatchEntryIdsNotDistinct (400)",
        "BatchEntryIdsNotDistinct (400)",
        "Ours: callers see the code with its old prefix, which SQS still sends.",
    ),
    Known(
        "*: send a batch: a body that is too long",
        "failed: InvalidParameterValue",
        "accepted",
        "Ours: the MaximumMessageSize of the queue limits the body.",
    ),
    Known(
        "FIFO: send: a body that is too long",
        INVALID,
        "accepted",
        "Ours: the MaximumMessageSize of the queue limits the body.",
    ),
    Known(
        "*: send a batch: a forbidden character",
        "failed: InvalidMessageContents",
        "failed: InvalidAttributeValue",
        "Ours: SQS has a separate code for forbidden characters.",
    ),
    Known(
        "standard: send: a forbidden character",
        "InvalidMessageContents (400)",
        "InvalidAttributeValue (400)",
        "Ours: SQS has a separate code for forbidden characters.",
    ),
    Known(
        "FIFO: send a batch: *",
        "Successful[].SequenceNumber: digits",
        "Successful[].SequenceNumber: absent",
        "Ours: a FIFO queue returns sequence numbers in batches, too.",
    ),
    Known(
        "FIFO: send a batch: no group",
        INVALID,
        "failed: MissingParameter",
        "Ours: an entry without a group refuses the whole batch, with this code.",
    ),
    Known(
        "*: send: an empty body",
        "MissingParameter (400)",
        "InvalidAttributeValue (400)",
        "Ours: an empty body counts as missing.",
    ),
    Known(
        "standard: send a batch: an empty body",
        "failed: MissingParameter",
        "failed: InvalidAttributeValue",
        "Ours: an empty body counts as missing.",
    ),
)

#: by name of the backend; the other backends are sqsw itself, without differences
KNOWN: dict[str, tuple[Known, ...]] = {"moto": MOTO, "elasticmq": ELASTICMQ}
