"""Access a file in every possible way, in turn: ``python -m tests.life.fault_ways FILE WAY...``.

Prints one JSON object a way: exit code, stdout and stderr. They share a process, since most of the
time of a command is its start.
"""

import json
import os
import sys

from click.testing import CliRunner

from sqsw.core.errors import SQSError
from sqsw.memory_sqs import LocalSession
from sqsw_cli.errors.exit_codes import exit_code_of
from sqsw_cli.main import cli

COMMANDS = {
    "inspect": ["inspect"],
    "peek": ["inspect", "q", "--peek", "100"],
    "send": ["send", "q", "job"],
    "bulk send": ["send", "q", "--from", "-"],
    "work": ["work", "tasks:env", "--until-idle", "1"],
    "serve": ["serve", "--port", "0"],
}


def by_library(path: str) -> tuple[int, str, str]:
    """Send with a plain client; report the error as a command would."""
    session = LocalSession(path)
    try:
        client = session.client("sqs")
        url = client.create_queue(QueueName="q")["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody="x")
    except SQSError as error:
        text = f"error: {error}\n  why:  {error.why}\n  next: {error.next}\n"
        return int(exit_code_of(error)), "", text
    session.close()
    return 0, "", ""


def by_command(path: str, way: str) -> tuple[int, str, str]:
    done = CliRunner(env={"SQSW_LOCAL": path}).invoke(cli, COMMANDS[way], input='{"job": "job"}\n')
    return done.exit_code, done.stdout, done.stderr


def main(path: str, *ways: str) -> None:
    sys.path.insert(0, os.getcwd())
    for way in ways or ("library", *COMMANDS):
        code, out, err = by_library(path) if way == "library" else by_command(path, way)
        print(json.dumps({"way": way, "code": code, "out": out, "err": err}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
