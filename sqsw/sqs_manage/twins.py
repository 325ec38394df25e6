"""Find messages that carry the same job."""

from dataclasses import dataclass, field
from hashlib import blake2b

from sqsw.core.job_metadata import SQSW, job_id_of, metadata_of
from sqsw.core.message import Message

#: maximum number of remembered messages, in total and for one job
_MAX_SIGHTINGS, _MAX_OF_ONE_JOB = 100_000, 10


@dataclass(slots=True)
class Sighting:
    """A message seen by the finder.

    Attributes
    ----------
    message_id :
        The message ID.
    has_record :
        Whether a worker sent the message, with a record; False if SQS moved it.
    is_moved :
        Whether the message has been moved back; set by the caller.
    """

    message_id: str
    has_record: bool
    is_moved: bool = False
    _same_job: "list[Sighting]" = field(default_factory=list, repr=False)

    def twins(self) -> "list[Sighting]":
        """Return the messages seen so far with the same job, oldest first."""
        return [one for one in self._same_job if one is not self]


class TwinFinder:
    """A finder of messages that carry the same job.

    A worker that gives up a job sends its message to the dead-letter queue, and then deletes it
    from its queue. If it crashes in between, SQS delivers the message again, and later it can be in
    the dead-letter queue twice. Twins come from one message, and have the same job id, body,
    attributes and group.

    The finder remembers the first 100,000 messages.
    """

    def __init__(self) -> None:
        self._jobs: dict[bytes, list[Sighting]] = {}
        self._left = _MAX_SIGHTINGS

    def add(self, message: Message) -> Sighting | None:
        """Remember a message; return None if it cannot have a twin."""
        has_record = "DeadLetterQueueSourceArn" not in message.attributes
        # Use the message ID, which SQS keeps on a move. A sender can reuse a job ID for several
        # jobs.
        origin = metadata_of(message).copy_of if has_record else message.message_id
        if origin is None:
            return None
        key = _digest(message, origin)
        same_job = self._jobs.get(key, [])
        sighting = Sighting(message.message_id, has_record, _same_job=same_job)
        if self._left and len(same_job) < _MAX_OF_ONE_JOB:
            self._left -= 1
            self._jobs.setdefault(key, same_job).append(sighting)
        return sighting


def _digest(message: Message, origin: str) -> bytes:
    attributes = sorted(
        (name, value.get("DataType"), value.get("StringValue"), value.get("BinaryValue"))
        for name, value in message.message_attributes.items()
        if name != SQSW
    )
    content = repr((origin, job_id_of(message), message.group_id, message.body, attributes))
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
