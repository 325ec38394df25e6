"""The page about IAM: each command works with the listed actions and calls no others."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
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
#: An app with a schedule and a parking queue.
TIMED = """
from sqsw import SQSEnv

env = SQSEnv(parking="parked")


@env.periodic(every=1, queue="cron.fifo")
def tick():
    pass


@env.processor("emails", "send_email")
def send_email(to):
    pass
"""
PARK = """
from timed import send_email

send_email.options(delay=86_400).delay(to="ann@example.com")
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
    policy = POLICIES[name]
    return {
        (action.removeprefix("sqs:"), statement["Resource"].rpartition(":")[2])
        for statement in policy.get("Statement", [policy])
        for action in statement["Action"]
    }


class Account:
    """Queues with messages, behind the gate; each command gets new ones, by prefix."""

    def __init__(self, server: Serving, made: Gate, folder: Path) -> None:
        self._client, self._gate, self._folder = server.client(), made, folder
        self._url = server.url
        self._number = 0

    def run(
        self, command: list[str], allowed: Callable[[Call], bool], app: str = "tasks:env"
    ) -> tuple[int, str, set[Call]]:
        """Run a command with only some calls allowed; return its exit code, stderr and calls."""
        self._number += 1
        prefix = f"r{self._number}-"
        self._fill(prefix)
        if app == "timed:env":
            self._fill_timed(prefix)

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
                "SQSW_APP": app,
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
            self._send(url, body, {"JobName": job, "ContentType": "json"})

    def _fill_timed(self, prefix: str) -> None:
        self._create(f"{prefix}cron.fifo", FifoQueue="true")
        parked = self._create(f"{prefix}parked", MessageRetentionPeriod="1209600")
        now = int(time.time() * 1000)
        for job_id, due in (("due", now), ("later", now + 3_600_000)):
            metadata = json.dumps({"id": job_id, "due": due, "to": "emails"})
            values = {"JobName": "send_email", "ContentType": "json", "Sqsw": metadata}
            self._send(parked, '{"to": "ann@example.com"}', values)

    def _send(self, queue: str, body: str, attributes: dict[str, str]) -> None:
        self._client.send_message(
            QueueUrl=queue,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )

    def _create(self, name: str, **attributes: str) -> str:
        return str(self._client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "tasks.py").write_text(APP)
    (folder / "send.py").write_text(SEND)
    (folder / "timed.py").write_text(TIMED)
    (folder / "park.py").write_text(PARK)
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
    # Every answer has the date that the clock is compared with, refusals too.
    refused = {LIST} if row.command.startswith("sqsw doctor") else set()
    code, said, calls = account.run(sqsw(row.command), lambda call: call in named)
    assert code == 0, said
    assert calls == named - BY_SQS.get(row.command, set()) | refused
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


def test_a_program_parks_jobs_with_the_policy_of_the_sender(account: Account) -> None:
    parking = {("GetQueueUrl", "parked"), ("SendMessage", "parked")}
    command = [sys.executable, "park.py"]
    code, said, calls = account.run(command, lambda call: call in parking, "timed:env")
    assert code == 0, said
    assert calls == parking


def test_a_worker_sends_ticks_and_parked_jobs_with_the_policies_of_the_page(
    account: Account,
) -> None:
    cron = {(action, "cron.fifo") for action, queue in of_policy("worker") if queue == "emails"}
    extra = of_policy("schedules") | of_policy("parking")
    allowed = of_policy("worker") | of_policy("web") | cron | extra
    command = sqsw("sqsw work --queue cron.fifo --max-jobs 3")
    code, said, calls = account.run(command, lambda call: call in allowed, "timed:env")
    assert code == 0, said
    assert calls <= allowed
    # Only a job that has waited for twelve days is sent to the parking queue again.
    used = extra | {("SendMessage", "emails")}
    assert used - calls <= {("SendMessage", "parked")}


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
