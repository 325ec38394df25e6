"""Create queues together with their dead-letter queues."""

from collections.abc import Mapping

from sqsw.core.errors import SettingsError, SQSError
from sqsw.core.limits import MAX_RECEIVE_COUNT, MAX_RETENTION_SECONDS
from sqsw.core.redrive_policy import RedrivePolicy
from sqsw.core.settings import check_bounds
from sqsw.sqs_manage.describe import QueueReport
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.plan import QueuePlan, WantedQueue
from sqsw.sqs_manage.queue_calls import make_queue
from sqsw.transport.names import is_fifo, source_by_name

#: attributes of a new dead-letter queue: what failed is kept as long as SQS can
_DEAD_LETTER_DEFAULTS = {"MessageRetentionPeriod": str(MAX_RETENTION_SECONDS)}


def create_standard_queue(
    env: ManageEnv,
    queue_name: str,
    message_retention_period: int | None = None,
    visibility_timeout: int | None = None,
    redrive_policy: RedrivePolicy | None = None,
) -> str:
    """Create a standard queue; its URL, also where it exists with the same settings.

    Parameters
    ----------
    queue_name :
        The name without prefix.
    message_retention_period :
        Seconds that messages are kept, 60 to 1209600; None for SQS's default, four days.
    visibility_timeout :
        Seconds that a received message stays hidden, 0 to 43200; None for SQS's default, 30.
    redrive_policy :
        When messages go to which dead-letter queue, which has to exist.

    Raises
    ------
    SQSError
        The queue exists with other settings, or SQS refuses a value.
    """
    return _create(env, queue_name, message_retention_period, visibility_timeout, redrive_policy)


def create_fifo_queue(
    env: ManageEnv,
    queue_name: str,
    content_based_deduplication: bool = False,
    message_retention_period: int | None = None,
    visibility_timeout: int | None = None,
    redrive_policy: RedrivePolicy | None = None,
) -> str:
    """Create a FIFO queue; its URL, also where it exists with the same settings.

    Parameters
    ----------
    queue_name :
        The name without prefix; it ends in ``.fifo``.
    content_based_deduplication :
        Whether messages without a deduplication id are deduplicated by their body.
    message_retention_period, visibility_timeout, redrive_policy :
        As with :func:`create_standard_queue`.

    Raises
    ------
    SQSError
        The queue exists with other settings, or SQS refuses a value.
    """
    fifo = {"FifoQueue": "true"}
    if content_based_deduplication:
        fifo["ContentBasedDeduplication"] = "true"
    return _create(
        env, queue_name, message_retention_period, visibility_timeout, redrive_policy, **fifo
    )


def create_queue(
    env: ManageEnv,
    queue_name: str,
    *,
    dead_letter_queue: str | None = None,
    max_receives: int | None = None,
    attributes: Mapping[str, str] = {},
    tags: Mapping[str, str] = {},
    update: bool = False,
    dry_run: bool = False,
) -> list[QueueReport]:
    """Create a queue and its dead-letter queue, or see to it that they are as asked.

    Only what is asked for is compared with a queue that exists, not the defaults. A name that ends
    in ``.fifo`` makes a FIFO queue. A new queue waits for messages as long as SQS can (long
    polling); a new dead-letter queue keeps them for 14 days.

    Parameters
    ----------
    queue_name, dead_letter_queue :
        Names without prefix, both FIFO or both standard.
    max_receives :
        Receives before a message goes to the dead-letter queue, 1 to 1000. None: 12
        for a queue without a dead-letter queue; one that has some keeps its number.
    attributes :
        Attributes of the queue by SQS's names, values as text.
    tags :
        Tags of both queues.
    update :
        Change a queue that exists instead of reporting a difference.
    dry_run :
        Change nothing; say what would be done.

    Returns
    -------
    list of QueueReport
        The dead-letter queue, if there is one, and the queue: ``created``, ``unchanged``,
        ``updated``, ``would_create`` or ``would_update``.

    Raises
    ------
    SettingsError
        The two names do not go together, or a number is out of its range.
    QueueDiffers
        One of the queues exists with other settings, and ``update`` is False; nothing was changed.
    SQSError
        SQS refuses a value.
    """
    _check(queue_name, dead_letter_queue, max_receives)
    client = env.queue_client(queue_name)
    if dead_letter_queue is None:
        plan = QueuePlan(env, WantedQueue(client, attributes, tags, {}), update=update)
        return [plan.forecast() if dry_run else plan.report(plan.carry_out())]
    dead = env.queue_client(dead_letter_queue)
    # Both plans before the first change: where one queue differs nothing is touched.
    dead_plan = QueuePlan(env, WantedQueue(dead, {}, tags, _DEAD_LETTER_DEFAULTS), update=update)
    wanted = WantedQueue(client, attributes, tags, {}, dead, max_receives)
    plan = QueuePlan(env, wanted, update=update)
    if dry_run:
        return [dead_plan.forecast(), plan.forecast()]
    first = dead_plan.carry_out()
    try:
        second = plan.carry_out()
    except SQSError as error:
        if first == "created":
            stays = f"the dead-letter queue {dead.name!r} was created before, and stays"
            error.why = f"{error.why}; {stays}" if error.why else stays
        raise
    return [dead_plan.report(first), plan.report(second)]


def queue_name_from_dead_letter_queue(name: str) -> str:
    """The name of the queue that this dead-letter queue is for, without ``.fifo``.

    >>> queue_name_from_dead_letter_queue("emails_dead.fifo")
    'emails'

    Raises
    ------
    SettingsError
        The name has none of the usual endings, or nothing before it.
    """
    source = source_by_name(name)
    if source is not None:
        return source
    raise SettingsError(
        f"cannot derive a queue name from the dead-letter queue {name!r}",
        why="it ends in none of _dead -dead _dlq -dlq _deadletter(s) -deadletter(s)",
        reason="no_source_name",
        value=name,
        next="name the queue as well",
    )


def _check(queue_name: str, dead_letter_queue: str | None, max_receives: int | None) -> None:
    check_bounds("max_receives", max_receives, 1, MAX_RECEIVE_COUNT)
    if dead_letter_queue is None:
        if max_receives is not None:
            raise SettingsError(
                "max_receives needs a dead-letter queue", next="name the dead-letter queue as well"
            )
        return
    if queue_name == dead_letter_queue:
        raise SettingsError(f"{queue_name!r} cannot be its own dead-letter queue")
    if is_fifo(queue_name) != is_fifo(dead_letter_queue):
        fifo = is_fifo(queue_name)
        fitting = f"{dead_letter_queue}.fifo" if fifo else dead_letter_queue.removesuffix(".fifo")
        raise SettingsError(
            f"{queue_name!r} cannot use the {'standard' if fifo else 'FIFO'} queue "
            f"{dead_letter_queue!r} as its dead-letter queue",
            why="SQS wants both FIFO or both standard",
            next=f"name it {fitting!r}",
        )


def _create(
    env: ManageEnv,
    queue_name: str,
    message_retention_period: int | None,
    visibility_timeout: int | None,
    redrive_policy: RedrivePolicy | None,
    **attributes: str,
) -> str:
    if message_retention_period is not None:
        attributes["MessageRetentionPeriod"] = str(message_retention_period)
    if visibility_timeout is not None:
        attributes["VisibilityTimeout"] = str(visibility_timeout)
    if redrive_policy is not None:
        attributes["RedrivePolicy"] = redrive_policy.to_json()
    return make_queue(env.queue_client(queue_name), attributes, {})
