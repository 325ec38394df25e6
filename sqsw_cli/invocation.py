"""The global options of a call, wherever they stood on the command line."""

import sys
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqsw_cli.terminal import wants_color

if TYPE_CHECKING:
    from contextlib import ExitStack

    from sqsw_cli.config import Config
    from sqsw_cli.errors.interrupts import EndBySignal
    from sqsw_cli.output.printer import Printer


class Invocation:
    """One call of ``sqsw``: its global options and its printer.

    Options can stand before the command, after it, or both; the later one wins. Options that say
    *where* the queues are stay None unless they were given: variables rank below what an app sets
    in code, so the library reads them.
    """

    local: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    queue_prefix: str | None = None
    json: bool | None = None
    color: str = "auto"
    log_level: str = "info"
    log_format: str = "auto"
    quiet: bool = False
    verbose: int = 0
    config: "Config | None" = None
    config_path: str | None = None
    ending: "EndBySignal | None" = None
    until_end: "ExitStack | None" = None
    ends_at_once: bool = False
    #: whether the command runs until it is stopped, and whether its log is set up
    is_daemon: bool = False
    has_log: bool = False
    #: whether a live view is below the log
    has_view: bool = False

    # Not a dataclass: creating one would take a thirtieth of the time of --help.
    def __init__(self, args: Sequence[str] = (), **options: Any) -> None:
        self.args = args
        self.given: set[str] = set()
        vars(self).update(options)

    def without_printer(self) -> "Invocation":
        """Return the same options for another process."""
        left_out = ("printer", "until_end")
        options = {name: value for name, value in vars(self).items() if name not in left_out}
        return Invocation(**options)

    def remember(self, name: str, value: Any, *, given: bool) -> None:
        """Set an option; a typed value wins over one that was not typed, whatever the order."""
        if given:
            self.given.add(name)
        elif name in self.given:
            return
        setattr(self, name, value)

    def look_ahead(self) -> None:
        """Find out how to print an error that occurs before click has parsed the options."""
        words = list(self.args[: self.args.index("--")] if "--" in self.args else self.args)
        if self.json is None:
            self.json = "--json" in words
        for name, option, choices in (
            ("color", "--color", ("auto", "always", "never")),
            ("log_format", "--log-format", ("auto", "console", "json")),
        ):
            if name in self.given:
                continue
            for word, following in pairwise([*words, ""]):
                choice = following if word == option else word.removeprefix(f"{option}=")
                if choice in choices:
                    setattr(self, name, choice)

    @property
    def as_json(self) -> bool:
        return bool(self.json)

    @property
    def level(self) -> str:
        if "log_level" in self.given:
            return self.log_level
        if self.verbose:
            return "debug"
        return "error" if self.quiet else self.log_level

    @property
    def color_on_stderr(self) -> bool:
        return not self.as_json and wants_color(sys.stderr, self.color)

    @cached_property
    def printer(self) -> "Printer":
        from sqsw_cli.output.printer import Printer

        return Printer(as_json=self.as_json, color=self.color, quiet=self.quiet)
