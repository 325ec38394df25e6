"""A session on queues in a file."""

import functools
import logging
import os
from typing import Any

from sqsw.local.engine import LocalEngine
from sqsw.local.store.clock import Clock, MovableClock
from sqsw.local.store.connections import Durability
from sqsw.memory_sqs.addresses import DEFAULT_PATH
from sqsw.memory_sqs.boto_session import making
from sqsw.memory_sqs.embedded_session import EmbeddedSession
from sqsw.memory_sqs.file_errors import told_errors
from sqsw.memory_sqs.private_place import prepare_place

logger = logging.getLogger(__name__)


class LocalSession(EmbeddedSession):
    """A session on queues in a file, which other processes can use at the same time.

    The first client opens the file, and creates it if it is missing. Only its owner can read or
    write a new file. A directory named ``.sqsw`` is created if it is missing, with a
    ``.gitignore``. It and all its files are kept private to their owner. An existing file elsewhere
    keeps its permissions. If another user could have written the file or its directory, a warning
    is logged; root gets an error.

    Parameters
    ----------
    path :
        The database file.
    region_name :
        Default: ``local``.
    durable :
        ``normal``: completed calls survive if the process is killed; ``full``: they also survive a
        power failure, but each call waits for the disk.
    relaxed :
        Allow a second purge, or creating a deleted queue again, within the 60 seconds that SQS
        enforces.
    clock :
        A function that returns seconds since 1970. Default: a clock that tests move with
        ``session.clock.advance(minutes=20)``, in this process only.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = DEFAULT_PATH,
        *,
        region_name: str | None = None,
        durable: Durability = "normal",
        relaxed: bool = False,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(region_name)
        self.path: str = os.fspath(path)
        # Absolute, so a change of the working directory does not switch files.
        self._absolute = os.path.abspath(path)
        self._durable, self._relaxed, self._given_clock = durable, relaxed, clock
        self.clock: Any = MovableClock() if clock is None else clock
        self._engine: LocalEngine | None = None
        #: whether this session created the file
        self.is_new = False

    @property
    def location(self) -> str:
        return f"local file {self._absolute}"

    @property
    def engine(self) -> LocalEngine:
        """The embedded SQS of this session; the first access opens the file.

        Raises
        ------
        SettingsError
            The file is not an sqsw database, is from a newer version, is read-only, or cannot be
            created; another user made a symbolic link in its path; or another user could have
            written it, and this process runs as root.
        Busy
            Another program has locked the file.
        """
        with making:
            if self._engine is None:
                with told_errors(self.path):
                    for problem in prepare_place(self._absolute):
                        logger.warning("another user can use the queues: %s", problem)
                    self.is_new = not os.path.exists(self._absolute)
                    self._engine = LocalEngine(
                        self._absolute,
                        clock=self.clock,
                        durable=self._durable,
                        relaxed=self._relaxed,
                    )
            return self._engine

    def check_file(self) -> list[str]:
        """Return up to ten texts about damage in the file; empty if SQLite finds none.

        This reads the whole file (``PRAGMA quick_check``). Other processes can use the file
        meanwhile.

        Raises
        ------
        SettingsError
            The file is too damaged to be checked, or cannot be opened.
        Busy
            Another program has locked the file.
        """
        with told_errors(self.path):
            rows = self.engine.store.probe("PRAGMA quick_check(10)")
        return [text for (text,) in rows if text != "ok"]

    def close(self) -> None:
        """Close the file if it is open; the session's clients cannot be used afterwards."""
        if self._engine is not None:
            self._engine.close()

    def __repr__(self) -> str:
        return f"LocalSession({self.path!r}, region_name={self.region_name!r})"

    def __reduce__(self) -> Any:
        make = functools.partial(
            LocalSession,
            region_name=self.region_name,
            durable=self._durable,
            relaxed=self._relaxed,
            clock=self._given_clock,
        )
        return make, (self._absolute,)
