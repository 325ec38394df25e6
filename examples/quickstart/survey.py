"""The app of the quickstart: measure Python files, one job per file.

Run it with ``sqsw work survey:env``. Environment variables say where the queues are, so the same
file works on the embedded SQS (``SQSW_LOCAL``), on a test server (``AWS_ENDPOINT_URL_SQS``) and on
AWS.
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

# A file that cannot be read now cannot be read in a minute either, so retry a failed job at once.
# For jobs that use a network, keep the default, which waits longer after each attempt.
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
    """The figures of a file; ``note`` says why it could not be parsed."""

    lines: int
    functions: int = 0
    classes: int = 0
    longest: str | None = None
    longest_lines: int = 0
    imports: set[str] = field(default_factory=set)
    note: str | None = None


@env.processor("sources", "measure")
def measure(path: str) -> None:
    """Measure the file and write the result to the report.

    SQS delivers *at least* once: if a worker is killed after a job returns and before it deletes
    the message, the message is delivered again. So a job must be safe to run twice. This one writes
    its result in one transaction under the name of the file, so a second run replaces the first.
    ``runs`` counts the runs.
    """
    try:
        measured = parse(path)
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: decoding, NUL bytes
        if not TOLERANT:
            raise  # the job is retried, then goes to the dead-letter queue
        lines = Path(path).read_bytes().count(b"\n")
        measured = Measured(lines, note=str(error).replace(path, Path(path).name))
    save(path, measured)


def parse(path: str) -> Measured:
    """Decode the file as Python does (PEP 263), and walk its syntax tree."""
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
    """Return the outermost package that contains the file."""
    top = Path(path)
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return "(none)" if top == Path(path) else top.name


def save(path: str, measured: Measured) -> None:
    """Write the result in one transaction; a second run replaces it."""
    name = path.encode("utf-8", "backslashreplace").decode()  # not every file name is UTF-8
    m = measured
    row = (name, package_of(path), m.lines, m.functions, m.classes, m.longest, m.longest_lines)
    with closing(sqlite3.connect(REPORT, timeout=60, isolation_level=None)) as report:
        report.execute("PRAGMA synchronous = OFF")  # survives a killed process, which is enough
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
