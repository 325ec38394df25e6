"""Measure Python files, one job a file: the app of the quickstart.

``sqsw work survey:env`` runs it. Nothing here says where the queues are: that comes from the
environment of the process, so that the same file works on the embedded SQS (``SQSW_LOCAL``), on a
test server (``AWS_ENDPOINT_URL_SQS``) and on AWS.
"""

import ast
import os
import sqlite3
import time
import tokenize
import warnings
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sqsw import IMMEDIATE_RETURN, SQSEnv

REPORT = os.environ.get("SURVEY_REPORT", "survey.db")

#: The second release of this app: a file that cannot be parsed is a finding, not a failure.
TOLERANT = os.environ.get("SURVEY_TOLERANT") == "1"

# A file that cannot be read now cannot be read in a minute either, so a failed job is tried again
# at once. Jobs that fail because of a network want the default, which waits longer every time.
env = SQSEnv(backoff_policy=IMMEDIATE_RETURN)

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, package TEXT, lines INTEGER, functions INTEGER, classes INTEGER,
    longest TEXT, longest_lines INTEGER, note TEXT,
    runs INTEGER NOT NULL DEFAULT 1, finished_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS imports (path TEXT, module TEXT, PRIMARY KEY (path, module));
"""

warnings.simplefilter("ignore", SyntaxWarning)  # about the files, not about this program


@dataclass
class Measured:
    """What one file is made of; ``note`` says why it could not be parsed."""

    lines: int
    functions: int = 0
    classes: int = 0
    longest: str | None = None
    longest_lines: int = 0
    imports: set[str] = field(default_factory=set)
    note: str | None = None


@env.processor("sources", "measure")
def measure(path: str) -> None:
    """Measure the file and put the result into the report.

    SQS delivers *at least* once: a worker that is killed after the work and before the message is
    deleted leaves a message that comes again. So a job must do no harm when it runs twice. This one
    writes the whole result in one transaction under the file's name: the second run replaces the
    first. ``runs`` counts them, to show how often that happens.
    """
    try:
        measured = parse(path)
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: decoding, NUL bytes
        if not TOLERANT:
            raise  # the message comes again, and ends in the dead-letter queue
        lines = Path(path).read_bytes().count(b"\n")
        measured = Measured(lines, note=str(error).replace(path, Path(path).name))
    save(path, measured)


def parse(path: str) -> Measured:
    """Read the file as Python itself does (PEP 263), and look through its syntax tree."""
    with tokenize.open(path) as file:
        source = file.read()
    measured = Measured(lines=source.count("\n"))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            measured.functions += 1
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > measured.longest_lines:
                measured.longest, measured.longest_lines = node.name, length
        elif isinstance(node, ast.ClassDef):
            measured.classes += 1
        elif isinstance(node, ast.Import):
            measured.imports.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            measured.imports.add(node.module.partition(".")[0])
    return measured


def package_of(path: str) -> str:
    """The outermost package that the file belongs to."""
    top = Path(path)
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return "(none)" if top == Path(path) else top.name


def save(path: str, measured: Measured) -> None:
    """All of it or nothing, and the same once more if the job comes again."""
    name = path.encode("utf-8", "backslashreplace").decode()  # not every file name is UTF-8
    m = measured
    row = (name, package_of(path), m.lines, m.functions, m.classes, m.longest, m.longest_lines)
    with closing(sqlite3.connect(REPORT, timeout=60, isolation_level=None)) as report:
        report.execute("PRAGMA synchronous = OFF")  # outlives a killed process, which is enough
        report.executescript("BEGIN IMMEDIATE;" + SCHEMA)
        report.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (path) DO UPDATE"
            " SET lines = excluded.lines, functions = excluded.functions,"
            " classes = excluded.classes, longest = excluded.longest,"
            " longest_lines = excluded.longest_lines, note = excluded.note,"
            " runs = runs + 1, finished_at = excluded.finished_at",
            (*row, m.note, time.time()),
        )
        report.execute("DELETE FROM imports WHERE path = ?", (name,))
        report.executemany("INSERT INTO imports VALUES (?, ?)", [(name, i) for i in m.imports])
        report.execute("COMMIT")
