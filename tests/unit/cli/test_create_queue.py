"""``sqsw create-queue``."""

import pytest

from tests.unit.cli.conftest import Sqsw


def test_the_queue_comes_from_its_dead_letter_queue(sqsw: Sqsw) -> None:
    ran = sqsw("create-queue --fifo --dlq emails_dead")
    assert ran.code == 0
    assert [line.split("\t")[:2] for line in ran.out.splitlines()] == [
        ["emails_dead.fifo", "created"],
        ["emails.fifo", "created"],
    ]
    dead, queue = sqsw("create-queue --fifo --dlq emails_dead --json").objects
    assert (dead["name"], queue["name"]) == ("emails_dead.fifo", "emails.fifo")
    assert (queue["dlq"], queue["max_receives"], queue["fifo"]) == ("emails_dead.fifo", 12, True)
    assert dead["attributes"]["MessageRetentionPeriod"] == "1209600"
    assert queue["attributes"]["ReceiveMessageWaitTimeSeconds"] == "20"
    assert (dead["action"], queue["action"]) == ("unchanged", "unchanged")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("emails", ["emails"]),
        ("emails.fifo", ["emails.fifo"]),
        ("emails --content-dedup", ["emails.fifo"]),
        ("emails --high-throughput --dlq dead", ["dead.fifo", "emails.fifo"]),
        ("emails.fifo --dlq dead", ["dead.fifo", "emails.fifo"]),
        ("--dlq emails-dlq.fifo", ["emails-dlq.fifo", "emails.fifo"]),
    ],
)
def test_fifo_is_implied(sqsw: Sqsw, words: str, names: list[str]) -> None:
    ran = sqsw(f"create-queue {words} --json")
    assert [queue["name"] for queue in ran.objects] == names


def test_every_option_reaches_sqs(sqsw: Sqsw) -> None:
    ran = sqsw(
        "create-queue orders.fifo --visibility-timeout 2m --retention 14d --delay 1m "
        "--content-dedup --high-throughput --kms alias/x --tag team=data "
        "--attribute ReceiveMessageWaitTimeSeconds=3 --json"
    )
    (queue,) = ran.objects
    wanted = {
        "VisibilityTimeout": "120",
        "MessageRetentionPeriod": "1209600",
        "DelaySeconds": "60",
        "ContentBasedDeduplication": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "KmsMasterKeyId": "alias/x",
        "ReceiveMessageWaitTimeSeconds": "3",
    }
    assert {key: queue["attributes"].get(key) for key in wanted} == wanted
    assert queue["tags"] == {"team": "data"}


def test_other_settings_are_a_difference_and_update_changes_them(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    ran = sqsw("create-queue emails --dlq emails_dead --visibility-timeout 2m")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "error: 'emails' exists with other settings",
        "  why:  VisibilityTimeout is 30, asked for 120; "
        "the dead-letter queue is none, asked for emails_dead",
        "  next: change it: sqsw create-queue --update emails --dlq emails_dead "
        "--visibility-timeout 2m",
    ]
    ran = sqsw("create-queue emails --dlq emails_dead --visibility-timeout 2m --update --json")
    assert [queue["action"] for queue in ran.objects] == ["created", "updated"]


def test_a_dry_run_creates_nothing(sqsw: Sqsw) -> None:
    ran = sqsw("create-queue --dlq emails_dead --dry-run --json")
    assert [queue["action"] for queue in ran.objects] == ["would_create", "would_create"]
    assert sqsw("inspect --json").out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "neither NAME nor --dlq is given"),
        ("emails --dlq emails", "'emails' cannot be its own dead-letter queue"),
        ("emails --max-receives 3", "--max-receives needs --dlq"),
        ("--dlq graveyard", "cannot derive a queue name from the dead-letter queue 'graveyard'"),
        ("emails --visibility-timeout 13h", "invalid value for '--visibility-timeout'"),
    ],
)
def test_what_makes_no_sense_is_refused(sqsw: Sqsw, words: str, message: str) -> None:
    ran = sqsw(f"create-queue {words}")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {message}")


def test_yes_is_accepted(sqsw: Sqsw) -> None:
    assert sqsw("create-queue emails --yes").code == 0
