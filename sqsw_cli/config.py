"""``sqsw.toml``, or ``[tool.sqsw]`` in ``pyproject.toml``: defaults for options.

Each key is the name of an option. No key says where the queues are, because applications that send
do not read the file, and would send to other queues than the worker reads.
"""

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import click

from sqsw.core.errors import SettingsError
from sqsw.core.wording import nearest

_WHERE = {
    "local": "SQSW_LOCAL",
    "endpoint_url": "AWS_ENDPOINT_URL_SQS",
    "region": "AWS_REGION",
    "profile": "AWS_PROFILE",
    "queue_prefix": "SQSW_QUEUE_PREFIX",
}
_OPENS = "it decides who can reach this machine"
_WRITES = "it names a file that sqsw writes"
#: Options that a file must not set, and why: it can come with a copied project, or from a parent
#: directory.
_NEVER = {
    **dict.fromkeys(("config", "version", "help", "at"), "it is for one command"),
    "yes": "it confirms one command",
    "with_dlq": "it deletes more than the command names",
    **dict.fromkeys(("host", "no_auth", "allow_host"), _OPENS),
    "attribute": "it can give others access to a queue",
    **dict.fromkeys(("failed", "lock", "health_file"), _WRITES),
}
#: Keys of ``[queues.NAME]`` for `work`, and those for `create-queue --app` and `work --local`.
WORK_KEYS = ("weight", "concurrency", "group")
CREATE_KEYS = (
    *("fifo", "dlq", "max_receives", "visibility_timeout", "retention", "delay"),
    *("content_dedup", "high_throughput", "kms"),
)
#: Keys of ``[schedules.NAME]``.
SCHEDULE_KEYS = ("job", "cron", "every", "tz", "queue", "args", "overlap")
#: Keys for all commands, in addition to ``app``.
GLOBAL_KEYS = ("json", "color", "log_level", "log_format", "quiet", "verbose")


@dataclass(frozen=True)
class Config:
    """The contents of the configuration file.

    Attributes
    ----------
    path :
        The file; None if there is none.
    table :
        Its keys: those of sqsw.toml, or of [tool.sqsw].
    section :
        The name of its outermost table in the file.
    distrust :
        Why another user could have written the file; None if no other user could.
    """

    path: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    section: str = ""
    distrust: str | None = None

    @property
    def queues(self) -> dict[str, dict[str, Any]]:
        """Return ``[queues.NAME]`` by queue name; ``fifo = true`` adds ``.fifo`` to NAME."""
        queues = {}
        for name, values in self._subtable("queues").items():
            if not isinstance(values, dict):
                raise self._bad(f"queues.{name}", "must be a table", None)
            for key, value in values.items():
                if key not in (*WORK_KEYS, *CREATE_KEYS):
                    raise self._unknown(key, f"queues.{name}", (*WORK_KEYS, *CREATE_KEYS))
                if wanted := _wrong_queue_value(key, value):
                    raise self._bad(f"queues.{name}.{key}", f"must be {wanted}", None)
            is_short = values.get("fifo", False) and not name.endswith(".fifo")
            queues[f"{name}.fifo" if is_short else name] = values
        return queues

    @property
    def schedules(self) -> dict[str, dict[str, Any]]:
        """Return ``[schedules.NAME]`` by the name of the schedule."""
        for name, values in self._subtable("schedules").items():
            if not isinstance(values, dict):
                raise self._bad(f"schedules.{name}", "must be a table", None)
            for key, value in values.items():
                if key not in SCHEDULE_KEYS:
                    keys = f"the keys of a schedule are {', '.join(SCHEDULE_KEYS)}"
                    raise self._unknown(key, f"schedules.{name}", SCHEDULE_KEYS, keys)
                if wanted := _wrong_schedule_value(key, value):
                    raise self._bad(f"schedules.{name}.{key}", f"must be {wanted}", None)
        return self._subtable("schedules")

    def place(self, *keys: str) -> str:
        return f"[{_dotted(self.section, *keys)}] in {self.path}"

    def defaults_of(self, ctx: click.Context) -> dict[str, Any]:
        """Return the defaults in the file for the options of the context's command."""
        command = _of_root(ctx)
        self._check_sections(command)
        options, section = keys_of(ctx.command), command.info_name or ""
        known = _keys_of_all(command)
        shared = {key: value for key, value in self.table.items() if not isinstance(value, dict)}
        # `app` is a key for all commands, but an option only of those that load an app.
        if "app" not in options:
            shared.pop("app", None)
        defaults = {}
        for table, place in ((shared, ""), (self._subtable(section), section)):
            for key, value in table.items():
                self._refuse(key, place)
                if key not in known:
                    raise self._unknown(key, place, known)
                if key in options:  # otherwise it belongs to another subcommand
                    param = options[key]
                    defaults[str(param.name)] = self._value(ctx, param, key, place, value)
        return defaults

    def _check_sections(self, ctx: click.Context) -> None:
        if not self.table:
            return  # saves time: listing the commands looks for plugins
        parent = ctx.parent
        group = parent.command if parent is not None else None
        commands = group.list_commands(parent) if parent and isinstance(group, click.Group) else []
        known = ["queues", "schedules", *(name.replace("-", "_") for name in commands), *commands]
        for key, value in self.table.items():
            if key in known and not isinstance(value, dict):
                raise self._bad(key, "must be a table", None)
            if isinstance(value, dict) and key not in known:
                raise self._unknown(key, "", [*known, *GLOBAL_KEYS, "app"])
            if not isinstance(value, dict) and key not in (*GLOBAL_KEYS, "app"):
                self._refuse(key, "")
                raise self._unknown(key, "", [*known, *GLOBAL_KEYS, "app"])

    def _refuse(self, key: str, section: str) -> None:
        if key in _WHERE:
            raise self._bad(
                _dotted(section, key),
                "a file cannot set it, because applications that send do not read the file",
                f"set {_WHERE[key]}, or use --{key.replace('_', '-')}",
            )
        if key in _NEVER:
            raise self._bad(
                _dotted(section, key),
                f"{_NEVER[key]}, so only the command line can set it",
                f"use --{key.replace('_', '-')} on the command line",
            )

    def _value(
        self, ctx: click.Context, param: click.Parameter, key: str, section: str, value: Any
    ) -> Any:
        if param.multiple and isinstance(value, str):
            value = [value]
        if wanted := _wrong_type(param, value):
            raise self._bad(_dotted(section, key), f"must be {wanted}", None)
        if isinstance(param.type, click.Path) and isinstance(value, str) and self.path is not None:
            value = value if value == "-" else str(self.path.parent / value)
        if key == "http" and not _is_local_address(str(value)):
            raise self._bad(
                _dotted(section, key),
                f"{_OPENS}, so a file can set only the port",
                f"use --http {value} on the command line",
            )
        try:
            param.type_cast_value(ctx, value)
        except click.BadParameter as error:
            raise self._bad(_dotted(section, key), error.message, None) from error
        except (TypeError, ValueError) as error:
            raise self._bad(_dotted(section, key), str(error), None) from error
        return value

    def _subtable(self, name: str) -> dict[str, Any]:
        found = self.table.get(name.replace("-", "_"), self.table.get(name, {}))
        return found if isinstance(found, dict) else {}

    def _unknown(
        self,
        key: str,
        section: str,
        known: Iterable[str],
        why: str = "a key is the name of an option, with underscores",
    ) -> SettingsError:
        meant = nearest(key, known)
        return SettingsError(
            f"unknown key {key!r} in {_dotted(self.section, section) or 'the file'} of {self.path}",
            why=why,
            next=f"did you mean {meant!r}?" if meant else None,
        )

    def bad(self, key: str, reason: str) -> SettingsError:
        """Return the error for a value that cannot be used."""
        return self._bad(key, reason, None)

    def _bad(self, key: str, reason: str, next_step: str | None) -> SettingsError:
        return SettingsError(f"{key!r} in {self.path} cannot be used", why=reason, next=next_step)


def _of_root(ctx: click.Context) -> click.Context:
    """Return the context of the top-level command: for a subcommand, that of its group."""
    while ctx.parent is not None and ctx.parent.parent is not None:
        ctx = ctx.parent
    return ctx


def _keys_of_all(ctx: click.Context) -> set[str]:
    """Return the keys of a command, or of all subcommands of a group."""
    group = ctx.command
    if not isinstance(group, click.Group):
        return set(keys_of(group))
    commands = (group.get_command(ctx, name) for name in group.list_commands(ctx))
    return {key for command in commands if command is not None for key in keys_of(command)}


def keys_of(command: click.Command) -> dict[str, click.Option]:
    options = {
        max(param.opts, key=len).lstrip("-").replace("-", "_"): param
        for param in command.params
        if isinstance(param, click.Option)
    }
    return {key: option for key, option in options.items() if key not in {*_WHERE, *_NEVER}}


def read_config(path: str | None = None, start: Path | None = None) -> Config:
    """Read the file that is named, or the first one found from ``start`` upwards.

    Parameters
    ----------
    path :
        A file; ``none`` for no file; None to look for one.
    start :
        The directory where the search begins; the current one by default.

    Raises
    ------
    SettingsError
        The file cannot be read or parsed; another user could have written it and this process is
        root; or the search found it and it belongs to another user.
    """
    if path == "none":
        return Config()
    if path is not None:
        return _from_file(Path(path), is_named=True) or Config(Path(path))
    directory = Path.cwd() if start is None else start
    for folder in (directory, *directory.parents):
        for name in ("sqsw.toml", "pyproject.toml"):
            file = folder / name
            found = _from_file(file, is_named=False) if file.is_file() else None
            if found is not None:
                return found
    return Config()


def _from_file(path: Path, *, is_named: bool) -> Config | None:
    import tomllib

    from sqsw.core.files import open_input

    try:
        with open_input(path, pipes=False) as file:
            status = os.fstat(file.fileno())
            table = tomllib.loads(file.read().decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"cannot read {os.fspath(path)}", why=reason) from error
    if path.name == "pyproject.toml":
        tools = table.get("tool")
        own = tools.get("sqsw") if isinstance(tools, dict) else None
        if not isinstance(own, dict | None):
            raise SettingsError(f"cannot read {os.fspath(path)}", why="[tool.sqsw] is not a table")
        if own is None:
            return None
        return Config(path, own, "tool.sqsw", _distrust(path, status, is_named=is_named))
    return Config(path, table, "", _distrust(path, status, is_named=is_named))


def _distrust(path: Path, status: os.stat_result, *, is_named: bool) -> str | None:
    from sqsw.core.files import distrust

    try:
        reason = distrust(path, status)
    except SettingsError as error:
        step = error.next if is_named else f"{error.next}; to read no file: --config none"
        raise SettingsError(error.message, why=error.why, next=step) from error
    if reason is not None and not is_named and status.st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"refused to read {path}",
            why=reason,
            next=f"to read it: --config {shlex.quote(str(path))}; to read no file: --config none",
        )
    return reason


def _is_local_address(text: str) -> bool:
    """Return whether only this machine can reach an address; the option rejects an invalid one."""
    from ipaddress import ip_address

    host = text.rpartition(":")[0].strip("[]")
    try:
        return host in ("", "localhost") or ip_address(host).is_loopback
    except ValueError:  # other names, such as 127.example.com, can resolve to any address
        return False


def _wrong_type(param: click.Parameter, value: Any) -> str | None:
    """Return the type that an option needs, if the value has another one; click expects strings."""
    if param.multiple:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return None if fits else "a string, or a list of strings"
    if isinstance(param, click.Option) and param.is_flag:
        return None if isinstance(value, bool) else "true or false"
    fits = isinstance(value, str | int) and not isinstance(value, bool)
    return None if fits else "a string or a number"


def _wrong_queue_value(key: str, value: Any) -> str | None:
    """Return what a key of ``[queues.NAME]`` must be, or None if the value is valid."""
    if key in ("fifo", "content_dedup", "high_throughput"):
        return None if isinstance(value, bool) else "true or false"
    if key in ("dlq", "kms"):
        fits = (isinstance(value, str) and value != "") or (key == "dlq" and value is False)
        return None if fits else "a string, or false for none" if key == "dlq" else "a string"
    if key in ("visibility_timeout", "retention", "delay"):
        fits = isinstance(value, str | int) and not isinstance(value, bool)
        return None if fits else "a duration"
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if fits else "a number of 1 or more"


def _wrong_schedule_value(key: str, value: Any) -> str | None:
    """Return what a key of ``[schedules.NAME]`` must be, or None if the value is valid."""
    if key == "args":
        fits = isinstance(value, dict) and _is_json(value)
        return None if fits else "a table of text, numbers, booleans, arrays and tables"
    if key == "every":
        fits = isinstance(value, str | int) and not isinstance(value, bool)
        return None if fits else "a duration"
    if key == "overlap":
        return None if value in ("wait", "skip") else "'wait' or 'skip'"
    return None if isinstance(value, str) and value else "a string"


def _is_json(value: Any) -> bool:
    """Return whether JSON can hold a value; TOML also has dates, infinity and NaN."""
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, str | int)


def _dotted(*parts: str) -> str:
    return ".".join(part for part in parts if part)
