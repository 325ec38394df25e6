"""Worker processes with schedules, on a file of queues and a clock that a test moves for all."""

import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from sqsw.context import current_job
from sqsw.core.events import Event, TickMissed, TickSent
from sqsw.local.store.clock import MovableClock
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.sqs_env import SQSEnv

QUEUE = "cron.fifo"

#: the schedule of ``soak``: its interval, in seconds
EVERY = 10

#: which schedules a worker has
Release = Literal["soak", "old", "new", "pool"]

#: seconds between two looks at the clock
_LOOK_SECONDS = 0.005

# The fork server imports this once, so that its processes need not import boto3.
MemorySession().client("sqs")


class SharedClock(MovableClock):
    """A clock in a file: it stands still until the process of the test moves it."""

    def __init__(self, path: Path, start: float | None = None) -> None:
        if start is not None:
            path.write_bytes(struct.pack("d", start))
        with path.open("r+b") as file:
            self._time = mmap.mmap(file.fileno(), 8)
        super().__init__(self._read)

    def _read(self) -> float:
        return float(struct.unpack("d", self._time[:8])[0])

    def move_to(self, seconds: float) -> None:
        """Set the time of all processes."""
        self._time[:8] = struct.pack("d", seconds)

    def watch(self) -> None:
        """Wake all that follow the clock of this process after each move, from now on."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        seen = self._read()
        while True:
            time.sleep(_LOOK_SECONDS)
            now = self._read()
            if now != seen:
                seen = now
                self.advance()  # by nothing, which wakes them


class Line(NamedTuple):
    """A line of a ledger.

    ``word`` is ``ready``, ``sent``, ``missed`` or ``done``. ``at`` and ``last`` are seconds since
    1970, and ``number`` is the number of missed ticks, or the process of a job.
    """

    word: str
    schedule: str = "-"
    at: int = 0
    last: int = 0
    number: int = 0
    note: str = "-"


class Ledger:
    """The log of one process. What is in it outlives ``kill -9``."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, line: Line) -> None:
        os.write(self._descriptor, (" ".join(map(str, line)) + "\n").encode())

    def note(self, event: Event) -> None:
        """Write down what became of a tick."""
        if isinstance(event, TickSent):
            self.write(Line("sent", event.schedule, _seconds(event.at)))
        elif isinstance(event, TickMissed):
            first, last = _seconds(event.first_at), _seconds(event.last_at)
            self.write(Line("missed", event.schedule, first, last, event.count, event.reason))


def read(path: Path) -> list[Line]:
    """Return the lines of a ledger."""
    found = []
    for text in path.read_text().splitlines() if path.exists() else ():
        word, schedule, at, last, number, note = text.split(" ")
        found.append(Line(word, schedule, int(at), int(last), int(number), note))
    return found


def work(folder: Path, ledger: str, release: Release) -> None:
    """Run a worker until it is killed or gets a signal."""
    clock = SharedClock(folder / "clock")
    clock.watch()
    book = Ledger(folder / ledger)
    env = SQSEnv(LocalSession(folder / "sqs.db", clock=clock))
    env.events.subscribe(book.note, TickSent, TickMissed, quick=True)
    _RELEASES[release](env, book)
    book.write(Line("ready"))
    env.queue(QUEUE).process_queue(wait_second=1)


def _job(book: Ledger, name: str) -> Callable[[datetime], None]:
    def note(at: datetime) -> None:
        job = current_job()
        assert job is not None
        book.write(Line("done", job.message.group_id or "-", _seconds(at), note=job.id))

    note.__name__ = name
    return note


def _soak(env: SQSEnv, book: Ledger) -> None:
    env.periodic(every=EVERY, queue=QUEUE, name="soak")(_job(book, "note"))


def _old(env: SQSEnv, book: Ledger) -> None:
    env.periodic(every=20, queue=QUEUE, name="before")(_job(book, "renamed"))
    env.periodic(every=20, queue=QUEUE, name="changed")(_job(book, "changed"))


def _new(env: SQSEnv, book: Ledger) -> None:
    env.periodic(every=20, queue=QUEUE, name="after")(_job(book, "renamed"))
    env.periodic(every=30, queue=QUEUE, name="changed")(_job(book, "changed"))


def _pool(env: SQSEnv, book: Ledger) -> None:
    task = env.task(QUEUE, executor="process")(note_in_pool)
    env.periodic(every=EVERY, tz="Asia/Tokyo", queue=QUEUE, args={"path": os.getcwd()})(task)


def note_in_pool(path: str, at: datetime) -> None:
    """Write down the instant, its zone and the process."""
    line = Line("done", "pool", _seconds(at), number=os.getpid(), note=str(at.tzinfo))
    Ledger(Path(path, "pool.ledger")).write(line)


_RELEASES: dict[Release, Callable[[SQSEnv, Ledger], None]] = {
    "soak": _soak,
    "old": _old,
    "new": _new,
    "pool": _pool,
}


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
