"""``sqsw purge``."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Sqsw


@pytest.fixture(autouse=True)
def queue(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    for job in ("a", "b", "b"):
        sqsw(f"send emails {job} n:=1")


def test_without_a_terminal_it_needs_yes(sqsw: Sqsw) -> None:
    ran = sqsw.process("purge emails", input="emails\n")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: purge deletes about 3 messages from 'emails' and needs confirmation",
        "  why:  there is no terminal to ask on",
        "  next: add --yes if this is intended",
    ]
    assert sqsw.visible("emails") == 3


def test_with_yes_it_deletes_all_messages(sqsw: Sqsw) -> None:
    (queue,) = sqsw("purge emails --yes --json").objects
    assert (queue["type"], queue["action"], queue["visible"]) == ("queue", "purged", 3)
    assert sqsw.visible("emails") == 0
    ran = sqsw("purge emails -y")
    assert ran.code == 6
    assert ran.err.startswith("error: 'emails' is already being purged\n")


def test_a_queue_of_another_region_is_not_purged_instead(sqsw: Sqsw) -> None:
    ran = sqsw("purge arn:aws:sqs:eu-west-1:000000000000:emails --yes")
    assert ran.code == 2
    assert "'emails' is in region 'eu-west-1', but the client uses 'local'" in ran.err
    assert sqsw.visible("emails") == 3


def test_an_empty_queue_needs_no_yes(sqsw: Sqsw) -> None:
    sqsw("create-queue none")
    (queue,) = sqsw("purge none --json").objects
    assert (queue["name"], queue["action"]) == ("none", "unchanged")
    assert sqsw("purge none --yes").out == "none\tpurged\t0\n"  # that did not purge


def test_with_a_selection_it_deletes_what_matches(sqsw: Sqsw) -> None:
    ran = sqsw("purge emails --job b --yes --json")
    assert ran.code == 0
    *messages, summary = ran.objects
    assert sorted(one["action"] for one in messages) == ["deleted", "deleted", "skipped"]
    assert (summary["deleted"], summary["skipped"], summary["failed"]) == (2, 1, 0)
    (skipped,) = (one for one in messages if one["action"] == "skipped")
    known = {key for key, value in skipped.items() if value is not None}
    assert known == {
        *("type", "queue", "id", "job_id", "raw", "sent_at", "receives", "size", "action"),
    }
    ran = sqsw("send emails --from -", input=json.dumps(skipped))
    assert (ran.code, sqsw.visible("emails")) == (2, 1)
    assert sqsw.visible("emails") == 1


def test_a_dry_run_deletes_nothing(sqsw: Sqsw) -> None:
    assert sqsw("purge emails --dry-run --json").objects[0]["action"] == "would_delete"
    ran = sqsw("purge emails --job b --limit 2 --dry-run")
    assert [line.split("\t")[0] for line in ran.out.splitlines()] == ["would_delete"] * 2
    assert sqsw.visible("emails") == 3


def test_ids_come_from_a_file_or_stdin(sqsw: Sqsw, home: Path) -> None:
    ids = [one["id"] for one in sqsw("inspect emails --peek 2 --json").objects]
    text = "\ufeff" + "\n".join(ids)  # editors on Windows begin files like this
    (home / "ids.txt").write_text(text)
    assert len(sqsw("purge emails --ids ids.txt --dry-run").out.splitlines()) == 2
    ran = sqsw("purge emails --ids - --yes", input=text)
    assert (ran.code, ran.err) == (0, "")
    assert sqsw.visible("emails") == 1
    ran = sqsw("purge emails --ids ids.txt --dry-run")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines() == [
        "error: 2 of 2 ids were not found in 'emails'",
        "  why:  no message in the queue has such an id, or it is hidden for now",
        "  next: sqsw inspect emails --peek 20 lists messages",
    ]


def test_the_first_characters_of_an_id_are_enough(sqsw: Sqsw) -> None:
    first, second = (one["id"] for one in sqsw("inspect emails --peek 2 --json").objects)
    ran = sqsw("purge emails --ids - --yes --json", input=f"{first[:8]}\n{second[:-1]}\nffffffff\n")
    assert ran.code == 0
    assert [one["id"] for one in ran.objects if one.get("action") == "deleted"] == [first, second]
    assert ran.err.startswith("warning: 1 of 3 ids was not found\n")
    assert sqsw.visible("emails") == 1


def test_ids_can_be_job_ids(sqsw: Sqsw) -> None:
    ids = [one["job_id"] for one in sqsw("inspect emails --peek 2 --json").objects]
    ran = sqsw("inspect emails --peek 9 --ids - --json", input="\n".join(ids))
    assert [one["job_id"] for one in ran.objects] == ids
    ran = sqsw("purge emails --ids - --yes", input="\n".join(ids))
    assert (ran.code, ran.err) == (0, "")
    assert sqsw.visible("emails") == 1


def test_a_missing_queue_is_not_found(sqsw: Sqsw) -> None:
    assert sqsw("purge emials --yes").code == 3


def test_a_dry_run_costs_no_receive_of_a_local_queue(sqsw: Sqsw) -> None:
    sqsw("create-queue news --dlq news_dead --max-receives 1")
    sqsw("send news a")
    for _ in range(3):
        ran = sqsw("purge news --job a --dry-run --json")
        assert (ran.code, ran.err) == (0, "")
        assert [one.get("action") for one in ran.objects] == ["would_delete", None]
    assert (sqsw.visible("news"), sqsw.visible("news_dead")) == (1, 0)
