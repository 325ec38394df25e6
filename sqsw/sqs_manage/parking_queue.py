"""Recognize a parking queue; the settings that it must have."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from sqsw.core.limits import MAX_RETENTION_SECONDS
from sqsw.sqs_manage.manage_env import ManageEnv

if TYPE_CHECKING:
    from sqsw.parking.places import ParkedJob

#: the attributes and the tag of a parking queue
PARKING_ATTRIBUTES: Final = {"MessageRetentionPeriod": str(MAX_RETENTION_SECONDS)}
PARKING_TAGS: Final = {"sqsw": "parking"}


def is_parking_queue(env: ManageEnv, name: str, tags: Mapping[str, str] | None) -> bool:
    """Return whether this is a parking queue: that of the environment, or one with the tag.

    Parameters
    ----------
    name :
        The queue name without the prefix.
    tags :
        The tags of the queue; None if they are unknown.
    """
    return name == env.parking_queue or PARKING_TAGS.items() <= (tags or {}).items()


def parked_jobs(env: ManageEnv, queue_name: str) -> "Iterator[ParkedJob]":
    """Yield the jobs of a parking queue on the embedded SQS, including hidden ones.

    Parameters
    ----------
    queue_name :
        A queue name without prefix, a queue URL or an ARN.

    Raises
    ------
    SettingsError
        The queue is not on the embedded SQS.
    """
    from sqsw.parking.queue_parking import QueueParking  # most commands do not need it

    return QueueParking(env.queue_client(queue_name), env.wall_clock).list()
