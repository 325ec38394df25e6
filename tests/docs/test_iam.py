"""The page about IAM: each command works with the listed actions and calls no others."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session

from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.checks import least_policy
from sqsw.sqs_manage.create import create_queue
from tests.docs.blocks import ROOT, blocks_of
from tests.docs.iam import Call, Gate, allows, gate
from tests.docs.test_deploy import Terraform
from tests.docs.test_reference import rows
from tests.life.serving import Serving, serving

PAGE = ROOT / "docs" / "how-to" / "iam-policies.md"
APP = """
from sqsw import SQSEnv

env = SQSEnv()


@env.processor("emails", "send_email")
def send_email(to):
    pass


@env.processor("emails", "fail")
def fail():
    raise ValueError
"""
SEND = """
from tasks import env, send_email

send_email.delay(to="ann@example.com")
with send_email.batch():
    send_email.delay(to="ann@example.com")
"""
#: SQS itself checks these when it moves messages; sqsw does not call them.
BY_SQS = {
    "sqsw redrive emails_dead": {
        ("SendMessage", "emails"),
        ("ReceiveMessage", "emails_dead"),
        ("DeleteMessage", "emails_dead"),
    }
}
LIST = ("ListQueues", "*")


class Row:
    """A command of the table, and the calls that the table lists."""

    def __init__(self, command: str, *cells: str) -> None:
        self.command = command.strip("`")
        self.needed: set[Call] = set()
        self.optional: set[Call] = set()
        for queue, cell in zip(("emails", "emails_dead"), cells, strict=True):
            optional = "".join(re.findall(r"\((.*)\)", cell))
            self.needed |= calls_on(queue, cell.replace(f"({optional})", ""))
            self.optional |= calls_on(queue, optional)


def calls_on(queue: str, actions: str) -> set[Call]:
    return {(action, queue) for action in re.findall(r"\w+", actions)}


TABLE = [Row(*cells) for cells in rows(PAGE, "Each command")]
POLICIES: dict[str, Any] = {
    block.about.removesuffix(".json"): json.loads(block.text)
    for block in blocks_of(PAGE)
    if block.kind == "file"
}


def of_policy(name: str) -> set[Call]:
    """Return the calls that a policy of the page allows, for names without a pattern."""
    return {
        (action.removeprefix("sqs:"), statement["Resource"].rpartition(":")[2])
        for statement in POLICIES[name]["Statement"]
        for action in statement["Action"]
    }


class Account:
    """Queues with messages, behind the gate; each command gets new ones, by prefix."""

    def __init__(self, server: Serving, made: Gate, folder: Path) -> None:
        self._client, self._gate, self._folder = server.client(), made, folder
        self._url = server.url
        self._number = 0

    def run(
        self, command: list[str], allowed: Callable[[Call], bool]
    ) -> tuple[int, str, set[Call]]:
        """Run a command with only some calls allowed; return its exit code, stderr and calls."""
        self._number += 1
        prefix = f"r{self._number}-"
        self._fill(prefix)

        def plain(call: Call) -> Call:
            return call[0], call[1].removeprefix(prefix)

        self._gate.allows = lambda call: allowed(plain(call))
        self._gate.calls = set()
        done = subprocess.run(
            command,
            cwd=self._folder,
            env={
                **os.environ,
                "AWS_ENDPOINT_URL_SQS": self._gate.url,
                "AWS_REGION": "local",
                "AWS_ACCESS_KEY_ID": "local",
                "AWS_SECRET_ACCESS_KEY": "local",
                "PYTHONPATH": str(ROOT),
                "SQSW_APP": "tasks:env",
                "SQSW_CONFIG": "none",
                "SQSW_QUEUE_PREFIX": prefix,
            },
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stderr, {plain(call) for call in self._gate.calls}

    def _fill(self, prefix: str) -> None:
        dead = self._create(f"{prefix}emails_dead")
        asked = self._client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": asked["Attributes"]["QueueArn"], "maxReceiveCount": 2}
        queue = self._create(f"{prefix}emails", RedrivePolicy=json.dumps(policy))
        for url, job, body in (
            (queue, "send_email", '{"to": "ann@example.com"}'),
            (queue, "fail", "{}"),
            (dead, "send_email", '{"to": "ann@example.com"}'),
        ):
            values = {"JobName": job, "ContentType": "json"}
            self._client.send_message(
                QueueUrl=url,
                MessageBody=body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in values.items()
                },
            )

    def _create(self, name: str, **attributes: str) -> str:
        return str(self._client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "tasks.py").write_text(APP)
    (folder / "send.py").write_text(SEND)
    with serving("--memory") as server, gate(server.port) as made:
        yield Account(server, made, folder)


def sqsw(command: str) -> list[str]:
    words = shlex.split(command)
    asks = (
        words[1] in ("redrive", "purge", "delete-queue") or "--peek" in words or "--sample" in words
    )
    confirm = ["--yes"] if asks and "--status" not in words else []
    return [sys.executable, "-m", "sqsw_cli", *words[1:], *confirm]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.command)
def test_a_command_makes_the_calls_of_the_table_and_needs_no_others(
    row: Row, account: Account
) -> None:
    listed = {LIST} if row.command == "sqsw inspect" else set()
    named = row.needed | row.optional | listed
    code, said, calls = account.run(sqsw(row.command), lambda call: call in named)
    assert code == 0, said
    assert calls == named - BY_SQS.get(row.command, set())
    if row.optional:
        least = named - row.optional
        code, said, _ = account.run(sqsw(row.command), lambda call: call in least)
        assert code == 0, said


def test_the_worker_policy_is_what_work_and_its_live_view_call() -> None:
    (work,) = (row for row in TABLE if row.command.startswith("sqsw work "))
    assert of_policy("worker") == work.needed | {("GetQueueAttributes", "emails_dead")}


def test_a_program_sends_with_the_policy_of_the_sender(account: Account) -> None:
    sent = [sys.executable, "send.py"]
    code, said, calls = account.run(sent, lambda call: allows(POLICIES["web"], call))
    assert code == 0, said
    assert calls == of_policy("web")


def test_an_operator_can_run_the_commands_of_the_page() -> None:
    own = ("send", "work", "create-queue", "delete-queue")
    for row in TABLE:
        if row.command.split()[1] not in own:
            for call in row.needed | row.optional:
                assert allows(POLICIES["operator"], call), (row.command, call)


def test_doctor_and_terraform_give_the_same_permissions() -> None:
    env = SQSEnv(MemorySession())
    create_queue(env, "emails", dead_letter_queue="emails_dead")
    printed = least_policy(env, ["emails"])
    by_doctor = {
        (action.removeprefix("sqs:"), arn.rpartition(":")[2])
        for statement in printed["Statement"]
        for action in statement["Action"]
        for arn in statement["Resource"]
    }
    assert by_doctor == of_policy("worker") | of_policy("web")
    names = {"jobs": "emails", "dead": "emails_dead"}
    for role in ("worker", "web"):
        by_terraform = {
            (action.removeprefix("sqs:"), names[queue])
            for queue, actions in Terraform().actions(role).items()
            for action in actions
        }
        assert by_terraform == of_policy(role)


def test_every_action_of_the_page_exists() -> None:
    named = set(re.findall(r"\b(sqs|kms|cloudwatch):([A-Z]\w+)", PAGE.read_text(encoding="utf-8")))
    named |= {("sqs", action) for row in TABLE for action, _ in row.needed | row.optional}
    for service, action in named:
        assert action in get_session().get_service_model(service).operation_names
