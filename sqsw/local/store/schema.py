"""Tables, their version, and migrations from older versions.

The time of a call does not depend on how full a queue is:

* ``messages`` has the columns that change with each delivery, ``bodies`` those that are written
  once. A receive never rewrites a body.
* ``seq`` contains the time of the send (milliseconds shifted by 20 bits). So one range of one index
  selects by sending order and by age.
* Ready messages and hidden messages have separate indexes. A call promotes the hidden messages
  whose timeout is over before it reads, so no query scans messages that it cannot use.
* A message group is a row with either a ``rank`` (the time since which it is available) or a
  ``wake`` (the time when it becomes available).
* The counts of a queue are in its row. The transaction that changes a message updates them.
* Messages belong to the ``contents`` of a queue, not to the queue itself. A purge gives the queue
  new contents, and the rows of the old ones are deleted later, a portion at a time.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sqsw.local.errors import FileNotOurs, FileTooNew

#: "sqsw" in ASCII: marks the files of sqsw
APPLICATION_ID: Final = 0x73717377

#: states of a message
READY: Final = 0
IN_FLIGHT: Final = 1
DELAYED: Final = 2

#: bits of ``seq`` below the milliseconds
SEQ_BITS: Final = 20

_VERSION_1 = """
CREATE TABLE seqs(last INTEGER NOT NULL);
INSERT INTO seqs VALUES (0);

CREATE TABLE queues(
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a waiting receive may still hold one
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    is_fifo INTEGER NOT NULL,
    secret BLOB NOT NULL,                  -- signs receipt handles
    attributes TEXT NOT NULL,              -- JSON, those that were set
    tags TEXT NOT NULL,                    -- JSON
    contents INTEGER NOT NULL,
    deduplicates_by_group INTEGER NOT NULL,
    created_at INTEGER NOT NULL,           -- all times in milliseconds
    modified_at INTEGER NOT NULL,
    purged_at INTEGER,
    ready INTEGER NOT NULL DEFAULT 0,
    in_flight INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    UNIQUE(region, name)
);
CREATE TABLE deleted_queues(
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY(region, name)
) WITHOUT ROWID;

CREATE TABLE contents(
    id INTEGER PRIMARY KEY,
    is_left INTEGER NOT NULL DEFAULT 0     -- of no queue any more: its rows are to be deleted
);
CREATE INDEX c_left ON contents(id) WHERE is_left;

CREATE TABLE messages(
    seq INTEGER PRIMARY KEY,
    contents INTEGER NOT NULL,
    grp INTEGER,                           -- row of groups, on FIFO queues only
    state INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL,             -- in all queues it was in
    receives_before INTEGER NOT NULL,      -- of these, in the queues before this one
    first_receive INTEGER,
    last_receive INTEGER,
    sent_at INTEGER NOT NULL,
    id TEXT NOT NULL
);
CREATE INDEX m_contents ON messages(contents, seq);
CREATE INDEX m_ready ON messages(contents, seq) WHERE state = 0;
CREATE INDEX m_hidden ON messages(contents, visible_at, state) WHERE state > 0;
CREATE INDEX m_group ON messages(grp, seq) WHERE grp IS NOT NULL;
CREATE TABLE bodies(
    seq INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    md5 TEXT NOT NULL,
    attributes TEXT,                       -- JSON
    group_name TEXT,
    deduplication_id TEXT,
    trace_header TEXT,
    source_arn TEXT                        -- of the queue it was a dead letter of
);

CREATE TABLE groups(
    id INTEGER PRIMARY KEY,
    contents INTEGER NOT NULL,
    name TEXT NOT NULL,
    rank INTEGER,
    wake INTEGER
);
CREATE UNIQUE INDEX g_name ON groups(contents, name);
CREATE INDEX g_rank ON groups(contents, rank) WHERE rank IS NOT NULL;
CREATE INDEX g_wake ON groups(contents, wake) WHERE wake IS NOT NULL;

CREATE TABLE deduplications(
    contents INTEGER NOT NULL,
    group_name TEXT NOT NULL,              -- empty where the whole queue is the scope
    deduplication_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY(contents, group_name, deduplication_id)
) WITHOUT ROWID;
CREATE INDEX d_expires ON deduplications(contents, expires_at);
CREATE TABLE attempts(
    contents INTEGER NOT NULL,
    attempt_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    deliveries TEXT NOT NULL,              -- JSON: [[seq, receives, visible_at], ...]
    PRIMARY KEY(contents, attempt_id)
) WITHOUT ROWID;
CREATE INDEX a_expires ON attempts(contents, expires_at);

CREATE TABLE move_tasks(
    id TEXT PRIMARY KEY,
    source INTEGER NOT NULL,
    source_arn TEXT NOT NULL,
    destination_arn TEXT,
    rate INTEGER,                          -- messages per second
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    to_move INTEGER NOT NULL,
    moved INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER NOT NULL,             -- what came later is not moved
    failure TEXT
);
CREATE INDEX t_running ON move_tasks(status) WHERE status = 'RUNNING';
"""

# It has one row, a jumps.Known.
_VERSION_2 = """
CREATE TABLE clock(
    boot TEXT NOT NULL,
    time_offset INTEGER NOT NULL,
    ahead INTEGER NOT NULL,
    follow_at INTEGER NOT NULL,
    seen INTEGER NOT NULL
);
"""

#: step n migrates from version n to version n + 1; released steps are never edited
MIGRATIONS: Final[Sequence[str]] = (_VERSION_1, _VERSION_2)


def is_current(connection: sqlite3.Connection, path: str) -> bool:
    application_id, version, tables = _head(connection)
    if application_id == APPLICATION_ID:
        if version > len(MIGRATIONS):
            raise FileTooNew(path, f"version {version}; this release reads up to {len(MIGRATIONS)}")
        return version == len(MIGRATIONS)
    if application_id or version or tables:
        raise FileNotOurs(path, "an SQLite database of another program")
    return False


def migrate(connection: sqlite3.Connection, *, is_synced: bool = True) -> None:
    """Migrate the tables to the current version, in one transaction.

    Before, the caller checks :func:`is_current` and takes the write lock. Afterwards, it sets
    ``PRAGMA synchronous``.

    Parameters
    ----------
    is_synced :
        Whether a new file must survive a power failure right away.
    """
    _, version, _ = _head(connection)
    if version == 0 and not is_synced:
        # A new file has no data to lose, and eleven waits for the disk would take most of the time.
        connection.execute("PRAGMA synchronous = OFF")
    if version == 0:
        # auto_vacuum only works before the first table, and before the change to WAL writes the
        # first page. The change to WAL comes before the tables, because a process that finds the
        # tables does not check the journal mode.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    _statements(connection, ("BEGIN IMMEDIATE",))
    try:
        for script in MIGRATIONS[version:]:
            _statements(connection, script.split(";\n"))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(connection: sqlite3.Connection, statements: Sequence[str]) -> None:
    # Not executescript(), which would commit the open transaction.
    for statement in statements:
        if statement.strip():
            connection.execute(statement)


def _head(connection: sqlite3.Connection) -> tuple[int, ...]:
    """Return the application id, the version, and a number that is 0 if there are no tables."""
    names = ("application_id", "user_version", "schema_version")
    connection.execute("BEGIN")  # a snapshot, because another process could be creating the tables
    try:
        return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    finally:
        if connection.in_transaction:  # not if a disk error has ended it
            connection.execute("COMMIT")
