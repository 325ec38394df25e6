"""The settings of new queues, from options and from ``[queues.NAME]`` in the file."""

from collections.abc import Mapping
from typing import Any

import click

from sqsw.core.limits import (
    MAX_DELAY_SECONDS,
    MAX_RETENTION_SECONDS,
    MAX_VISIBILITY_TIMEOUT_SECONDS,
)
from sqsw.core.settings import QueueSettings
from sqsw_cli.config import CREATE_KEYS, Config
from sqsw_cli.options.types import Duration

VISIBILITY_TIMEOUT = Duration(0, MAX_VISIBILITY_TIMEOUT_SECONDS)
RETENTION = Duration(60, MAX_RETENTION_SECONDS)
DELAY = Duration(0, MAX_DELAY_SECONDS)

_DURATIONS = {"visibility_timeout": VISIBILITY_TIMEOUT, "retention": RETENTION, "delay": DELAY}


def attributes_of(
    *,
    visibility_timeout: int | None = None,
    retention: int | None = None,
    delay: int | None = None,
    content_dedup: bool = False,
    high_throughput: bool = False,
    kms: str | None = None,
) -> dict[str, str]:
    """Return these settings as SQS attributes, without those that are None or False."""
    values = {
        "VisibilityTimeout": visibility_timeout,
        "MessageRetentionPeriod": retention,
        "DelaySeconds": delay,
        "KmsMasterKeyId": kms,
        "ContentBasedDeduplication": "true" if content_dedup else None,
        "DeduplicationScope": "messageGroup" if high_throughput else None,
        "FifoThroughputLimit": "perMessageGroupId" if high_throughput else None,
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def settings_of_file(config: Config | None) -> dict[str, QueueSettings]:
    """Return the settings of queues in the file, by queue name.

    Raises
    ------
    SettingsError
        A value cannot be used.
    """
    tables = {} if config is None else config.queues
    return {
        name: _settings(config, name, table)
        for name, table in tables.items()
        if config is not None and set(table) & set(CREATE_KEYS)
    }


def _settings(config: Config, name: str, table: Mapping[str, Any]) -> QueueSettings:
    if "fifo" in table and table["fifo"] != name.endswith(".fifo"):
        raise config.bad(f"queues.{name}.fifo", "must be true for a name that ends in .fifo")
    values = {key: value for key, value in table.items() if key in CREATE_KEYS}
    for key, duration in _DURATIONS.items():
        if key in values:
            try:
                values[key] = duration.convert(values[key], None, None)
            except click.BadParameter as error:
                raise config.bad(f"queues.{name}.{key}", error.message) from error
    dlq, max_receives = values.pop("dlq", None), values.pop("max_receives", None)
    values.pop("fifo", None)
    if dlq and name.endswith(".fifo") and not dlq.endswith(".fifo"):
        dlq = f"{dlq}.fifo"
    return QueueSettings(dlq, max_receives, attributes_of(**values))
