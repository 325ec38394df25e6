"""The schedules of the file: ``[schedules.NAME]``."""

from collections.abc import Mapping
from typing import Any

import click

from sqsw.core.settings import ScheduleSettings
from sqsw_cli.config import Config
from sqsw_cli.options.types import Duration

#: a second to 366 days
_EVERY = Duration(1, 366 * 86_400)


def schedules_of_file(config: Config) -> list[ScheduleSettings]:
    """Return the schedules in the file.

    Raises
    ------
    SettingsError
        A value cannot be used.
    """
    return [_settings(config, name, table) for name, table in config.schedules.items()]


def _settings(config: Config, name: str, table: Mapping[str, Any]) -> ScheduleSettings:
    section, values = f"schedules.{name}", dict(table)
    if "job" not in values:
        raise config.bad(section, "it needs job = 'queue.job'")
    if ("cron" in values) == ("every" in values):
        both = "it has both cron and every" if "cron" in values else "it needs cron or every"
        raise config.bad(section, both)
    if "every" in values:
        try:
            values["every"] = _EVERY.convert(values["every"], None, None)
        except click.BadParameter as error:
            raise config.bad(f"{section}.every", error.message) from error
    return ScheduleSettings(name, place=config.place("schedules", name), **values)
