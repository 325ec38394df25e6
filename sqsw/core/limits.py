"""The quotas of Amazon SQS that sqsw relies on.

Sources:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
and .../quotas-queues.html
"""

from typing import Final

#: entries in one batch request, and messages in one receive
MAX_BATCH_ENTRIES: Final = 10

#: bytes in one message, and in all messages of one batch together: bodies in UTF-8 and message
#: attributes (name, type and value)
MAX_MESSAGE_BYTES: Final = 1_048_576

#: message attributes on one message
MAX_MESSAGE_ATTRIBUTES: Final = 10

#: seconds that one receive can wait (long polling)
MAX_WAIT_SECONDS: Final = 20

#: seconds by which a message can be delayed
MAX_DELAY_SECONDS: Final = 900

#: seconds that a message can stay hidden, counted from its receive, extensions included
MAX_VISIBILITY_TIMEOUT_SECONDS: Final = 43_200

#: seconds that SQS keeps a message at most
MAX_RETENTION_SECONDS: Final = 1_209_600

#: receives before a message is dead-lettered, at most
MAX_RECEIVE_COUNT: Final = 1_000

#: seconds that a job can wait in a parking place, at most. This limit is sqsw's own.
MAX_PARKED_SECONDS: Final = 366 * 86_400

#: Age in seconds at which a message in a parking queue is too old. A worker sends a fresh copy
#: after 12 days, and SQS deletes the message after 14.
PARKED_TOO_OLD_SECONDS: Final = 1_080_000
