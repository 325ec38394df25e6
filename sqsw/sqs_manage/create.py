"""Create queues and their dead-letter queues."""

from collections.abc import Iterable, Mapping

from sqsw.core.errors import QueueNotFound, SettingsError, SQSError
from sqsw.core.limits import MAX_RECEIVE_COUNT, MAX_RETENTION_SECONDS
from sqsw.core.redrive_policy import RedrivePolicy, redrive_target
from sqsw.core.settings import QueueSettings, check_bounds
from sqsw.sqs_manage.describe import QueueReport
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.parking_queue import PARKING_ATTRIBUTES, PARKING_TAGS
from sqsw.sqs_manage.plan import QueuePlan, WantedQueue
from sqsw.sqs_manage.queue_calls import make_queue
from sqsw.transport.names import dead_letter_name, is_fifo, name_of_arn, source_by_name

#: attributes of a new dead-letter queue: SQS's maximum retention
_DEAD_LETTER_DEFAULTS = {"MessageRetentionPeriod": str(MAX_RETENTION_SECONDS)}


def create_standard_queue(
    env: ManageEnv,
    queue_name: str,
    message_retention_period: int | None = None,
    visibility_timeout: int | None = None,
    redrive_policy: RedrivePolicy | None = None,
) -> str:
    """Create a standard queue and return its URL; an existing queue must have the same settings.

    Parameters
    ----------
    queue_name :
        The name without the prefix.
    message_retention_period :
        Seconds that messages are kept, 60 to 1209600; None for SQS's default, four days.
    visibility_timeout :
        Seconds that a received message stays hidden, 0 to 43200; None for SQS's default, 30.
    redrive_policy :
        The dead-letter queue, which must exist, and when messages go there.

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
    """Create a FIFO queue and return its URL; an existing queue must have the same settings.

    Parameters
    ----------
    queue_name :
        The name without the prefix, ending in ``.fifo``.
    content_based_deduplication :
        Whether messages without a deduplication ID are deduplicated by their body.
    message_retention_period, visibility_timeout, redrive_policy :
        See :func:`create_standard_queue`.

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
    """Create a queue and its dead-letter queue, or check that they have the requested settings.

    Only the requested settings of an existing queue are compared, not the defaults. A name that
    ends in ``.fifo`` creates a FIFO queue. A new queue uses the longest long polling; a new
    dead-letter queue keeps messages for 14 days.

    Parameters
    ----------
    queue_name, dead_letter_queue :
        Names without the prefix, both FIFO or both standard.
    max_receives :
        Receives before a message goes to the dead-letter queue, 1 to 1000. None keeps the current
        number, or sets 12 for a queue without a dead-letter queue.
    attributes :
        Attributes of the queue, by SQS's names, with values as text.
    tags :
        Tags of both queues.
    update :
        Change an existing queue instead of reporting differences.
    dry_run :
        Report what would be done, without changes.

    Returns
    -------
    list of QueueReport
        The dead-letter queue, if any, then the queue, with the action ``created``, ``unchanged``,
        ``updated``, ``would_create`` or ``would_update``.

    Raises
    ------
    SettingsError
        The two names do not match, or a number is out of range.
    QueueDiffers
        A queue exists with other settings, and ``update`` is False. Nothing was changed.
    SQSError
        SQS refuses a value.
    """
    settings = QueueSettings(dead_letter_queue or False, max_receives, attributes)
    return create_queues(
        env, [queue_name], {queue_name: settings}, tags=tags, update=update, dry_run=dry_run
    )


def create_parking_queue(
    env: ManageEnv,
    queue_name: str,
    *,
    attributes: Mapping[str, str] = {},
    tags: Mapping[str, str] = {},
    update: bool = False,
    dry_run: bool = False,
) -> QueueReport:
    """Create the queue in which jobs wait that are delayed for more than 15 minutes.

    It keeps messages for 14 days, has no dead-letter queue, and has the tag ``sqsw=parking``.

    Parameters
    ----------
    queue_name :
        The name of a standard queue, without the prefix.
    attributes, tags :
        Further attributes and tags, as for :func:`create_queue`.
    update, dry_run :
        As for :func:`create_queue`. An update also removes a redrive policy.

    Returns
    -------
    QueueReport
        The queue, with the action ``created``, ``unchanged``, ``updated``, ``would_create`` or
        ``would_update``.

    Raises
    ------
    SettingsError
        The name is that of a FIFO queue.
    QueueDiffers
        The queue exists with other settings, and ``update`` is False. Nothing was changed.
    SQSError
        SQS refuses a value.
    """
    if is_fifo(queue_name):
        raise SettingsError(
            f"the FIFO queue {queue_name!r} cannot hold parked jobs",
            why="a FIFO queue delivers in order, but parked jobs leave when they are due",
            next=f"name a standard queue: {queue_name.removesuffix('.fifo')!r}",
        )
    wanted = {**attributes, **PARKING_ATTRIBUTES}
    current = _attributes_of(env, queue_name)
    if current is not None and "RedrivePolicy" in current:
        wanted["RedrivePolicy"] = ""
    (report,) = create_queue(
        env,
        queue_name,
        attributes=wanted,
        tags={**tags, **PARKING_TAGS},
        update=update,
        dry_run=dry_run,
    )
    return report


def create_queues(
    env: ManageEnv,
    queue_names: Iterable[str],
    settings: Mapping[str, QueueSettings] = {},
    *,
    tags: Mapping[str, str] = {},
    update: bool = False,
    dry_run: bool = False,
) -> list[QueueReport]:
    """Create several queues and their dead-letter queues, like :func:`create_queue`.

    If any queue exists with other settings and ``update`` is False, nothing is changed. The parking
    queue of the environment gets the settings of :func:`create_parking_queue`, unless others are
    requested.

    Parameters
    ----------
    queue_names :
        Names without prefix.
    settings :
        Settings by queue name; a queue without an entry gets those of a new :class:`QueueSettings`.
        An entry for a dead-letter queue also applies.
    tags, update, dry_run :
        As for :func:`create_queue`.

    Returns
    -------
    list of QueueReport
        One report for each queue; a dead-letter queue comes before its source queue.

    Raises
    ------
    SettingsError, QueueDiffers, SQSError
        As for :func:`create_queue`.
    """
    names = list(queue_names)
    default = QueueSettings()
    targets = {
        name: _dead_letter_queue_of(env, name, settings.get(name, default)) for name in names
    }
    plans: dict[str, QueuePlan] = {}
    # Make all plans before the first change: if one queue differs, none is changed.
    for name in names:
        for one in filter(None, (targets[name], name)):
            if one not in plans:
                wanted = settings.get(one, default)
                target = targets.get(one)
                _check(one, target, wanted.max_receives)
                is_parking = one == env.parking_queue
                plans[one] = QueuePlan(
                    env,
                    WantedQueue(
                        env.queue_client(one),
                        {**(PARKING_ATTRIBUTES if is_parking else {}), **wanted.attributes},
                        {**tags, **(PARKING_TAGS if is_parking else {})},
                        _DEAD_LETTER_DEFAULTS if one in targets.values() else {},
                        None if target is None else env.queue_client(target),
                        wanted.max_receives,
                    ),
                    update=update,
                )
    if dry_run:
        return [plan.forecast() for plan in plans.values()]
    done: dict[str, str] = {}
    try:
        for name, plan in plans.items():
            done[name] = plan.carry_out()
    except SQSError as error:
        if created := [name for name, action in done.items() if action == "created"]:
            stays = f"already created, and kept: {', '.join(created)}"
            error.why = f"{error.why}; {stays}" if error.why else stays
        raise
    return [plan.report(done[name]) for name, plan in plans.items()]


def create_missing_queues(
    env: ManageEnv, queue_names: Iterable[str], settings: Mapping[str, QueueSettings] = {}
) -> list[QueueReport]:
    """Create the missing ones of these queues, and their dead-letter queues.

    Parameters
    ----------
    queue_names, settings :
        As for :func:`create_queues`.

    Returns
    -------
    list of QueueReport
        The queues that were created.

    Raises
    ------
    SettingsError, SQSError
        As for :func:`create_queue`.
    """
    missing = [name for name in queue_names if _attributes_of(env, name) is None]
    reports = create_queues(env, missing, settings)
    return [report for report in reports if report.action == "created"]


def _dead_letter_queue_of(env: ManageEnv, name: str, settings: QueueSettings) -> str | None:
    """Return the requested dead-letter queue; an existing queue does not get a default one."""
    if settings.dead_letter_queue is not None:
        return settings.dead_letter_queue or None
    if name == env.parking_queue:
        return None
    if source_by_name(name) is not None:
        return None
    attributes = _attributes_of(env, name)
    if attributes is not None and settings.max_receives is None:
        return None
    target, _ = redrive_target(attributes or {})
    return dead_letter_name(name) if target is None else env.name_of(name_of_arn(target))


def _attributes_of(env: ManageEnv, name: str) -> dict[str, str] | None:
    try:
        return env.queue_client(name).attributes()
    except QueueNotFound:
        return None


def queue_name_from_dead_letter_queue(name: str) -> str:
    """Return the name of a dead-letter queue's source queue, without ``.fifo``.

    >>> queue_name_from_dead_letter_queue("emails_dead.fifo")
    'emails'

    Raises
    ------
    SettingsError
        The name has no usual ending, or consists only of it.
    """
    source = source_by_name(name)
    if source is not None:
        return source
    raise SettingsError(
        f"cannot derive a queue name from the dead-letter queue {name!r}",
        why="it does not end in _dead, -dead, _dlq, -dlq, _deadletter(s) or -deadletter(s)",
        reason="no_source_name",
        value=name,
        next="give the queue name as well",
    )


def _check(queue_name: str, dead_letter_queue: str | None, max_receives: int | None) -> None:
    check_bounds("max_receives", max_receives, 1, MAX_RECEIVE_COUNT)
    if dead_letter_queue is None:
        if max_receives is not None:
            raise SettingsError(
                "max_receives requires a dead-letter queue", next="set dead_letter_queue as well"
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
            why="SQS requires both to be FIFO or both to be standard",
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
