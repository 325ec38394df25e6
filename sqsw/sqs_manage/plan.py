"""Plan how a queue gets its requested settings: create it, change it, or do nothing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqsw.core.errors import QueueDiffers, QueueNotFound
from sqsw.core.json_depth import read_json
from sqsw.core.limits import MAX_WAIT_SECONDS
from sqsw.core.redrive_policy import DEFAULT_MAX_RECEIVES, redrive_target
from sqsw.sqs_manage.describe import QueueReport, describe, report_of
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.queue_calls import arn_of, make_queue, refuse_whole_name, tag_queue, tags_of
from sqsw.transport.names import name_of_arn
from sqsw.transport.queue_client import QueueClient


@dataclass(frozen=True, slots=True)
class WantedQueue:
    """A queue with its requested settings.

    Attributes
    ----------
    client :
        The client of the queue.
    attributes, tags :
        The requested values, by SQS's names.
    defaults :
        Attributes of a new queue, unless others are requested.
    dead_letters, max_receives :
        Its dead-letter queue, and the receives after which a message goes there.
    """

    client: QueueClient
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    defaults: Mapping[str, str]
    dead_letters: QueueClient | None = None
    max_receives: int | None = None


class QueuePlan:
    """The differences between a queue and its requested settings. Creating a plan changes nothing.

    Raises
    ------
    QueueDiffers
        The queue exists with other settings, and ``update`` is False.
    SettingsError
        The queue does not exist and was given by its URL or ARN.
    """

    def __init__(self, env: ManageEnv, wanted: WantedQueue, *, update: bool) -> None:
        self._env = env
        self._wanted = wanted
        self._client = wanted.client
        self._current: dict[str, str] | None
        self._changes: dict[str, str] = {}
        self._new_tags: dict[str, str] = {}
        self._moves_dead_letters = False
        try:
            self._current = self._client.attributes()
        except QueueNotFound:
            refuse_whole_name(self._client)
            self._current = None
            return
        differences = list(self._compare(self._current))
        if differences and not update:
            name = self._client.name
            raise QueueDiffers(
                f"{name!r} exists with other settings",
                queue=name,
                why="; ".join(differences),
                next="use update=True to change it",
            )

    def carry_out(self) -> str:
        """Create or change the queue if needed; return the action, such as ``created``."""
        if self._current is None:
            attributes = self._redrive_policy() | self._attributes_of_new()
            url = make_queue(self._client, attributes, self._wanted.tags)
            self._client = self._env.queue_client(url)
            return "created"
        if not self._differs:
            return "unchanged"
        changes = (self._redrive_policy() if self._moves_dead_letters else {}) | self._changes
        if changes:
            self._client.set_attributes(changes)
        if self._new_tags:
            tag_queue(self._client, self._new_tags)
        return "updated"

    def report(self, action: str) -> QueueReport:
        return describe(self._env, self._client, action)

    def forecast(self) -> QueueReport:
        if self._current is not None:
            return self.report("would_update" if self._differs else "unchanged")
        attributes = self._attributes_of_new()
        dead = self._wanted.dead_letters
        return replace(
            report_of(self._env, self._client, attributes, "would_create", exists=False),
            dlq=dead.name if dead else None,
            max_receives=self._max_receives() if dead else None,
            tags=dict(self._wanted.tags),
        )

    @property
    def _differs(self) -> bool:
        return bool(self._changes or self._new_tags or self._moves_dead_letters)

    def _compare(self, current: Mapping[str, str]) -> Iterator[str]:
        """Yield each difference in words, and note what to change."""
        for name, value in self._wanted.attributes.items():
            if not _same(current.get(name, ""), value):
                self._changes[name] = value
                yield f"{name} is {current.get(name) or 'not set'} (requested: {value or 'none'})"
        yield from self._compare_dead_letters(current)
        tags = tags_of(self._client) if self._wanted.tags else {}
        for key, value in self._wanted.tags.items():
            if tags.get(key) != value:
                self._new_tags[key] = value
                yield f"the tag {key} is {tags.get(key, 'not set')} (requested: {value})"

    def _compare_dead_letters(self, current: Mapping[str, str]) -> Iterator[str]:
        dead, wanted_receives = self._wanted.dead_letters, self._wanted.max_receives
        if dead is None or "RedrivePolicy" in self._wanted.attributes:
            return
        arn, receives = redrive_target(current)
        sqs_name = name_of_arn(arn) if arn else None
        if sqs_name != dead.sqs_name:
            self._moves_dead_letters = True
            now = self._env.name_of(sqs_name) if sqs_name else "none"
            yield f"the dead-letter queue is {now} (requested: {dead.name})"
        elif wanted_receives is not None and receives != wanted_receives:
            self._moves_dead_letters = True
            yield f"maxReceiveCount is {receives} (requested: {wanted_receives})"

    def _attributes_of_new(self) -> dict[str, str]:
        always = {"ReceiveMessageWaitTimeSeconds": str(MAX_WAIT_SECONDS)}
        if self._client.is_fifo:
            always["FifoQueue"] = "true"
        return {**always, **self._wanted.defaults, **self._wanted.attributes}

    def _max_receives(self) -> int:
        _, receives = redrive_target(self._current or {})
        return self._wanted.max_receives or receives or DEFAULT_MAX_RECEIVES

    def _redrive_policy(self) -> dict[str, str]:
        dead = self._wanted.dead_letters
        if dead is None:
            return {}
        policy = {"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": self._max_receives()}
        return {"RedrivePolicy": json.dumps(policy)}


def _same(current: str, asked: str) -> bool:
    # SQS returns booleans in lower case, and reformats policies.
    if current.lower() == asked.lower():
        return current == asked or asked.lower() in ("true", "false")
    try:
        return bool(read_json(current) == read_json(asked))
    except ValueError:
        return False
