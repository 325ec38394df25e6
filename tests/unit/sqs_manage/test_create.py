import json
from typing import Any

import pytest

import sqsw.sqs_manage
from sqsw.core.errors import QueueDiffers, SettingsError, SQSError
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import (
    create_fifo_queue,
    create_queue,
    create_standard_queue,
    queue_name_from_dead_letter_queue,
)
from tests.unit.sqs_manage.faults import Faults


def attributes(env: SQSEnv, name: str) -> dict[str, str]:
    return env.queue_client(name).attributes()


def test_a_new_queue_uses_the_longest_long_polling(env: SQSEnv) -> None:
    [report] = create_queue(env, "emails", attributes={"VisibilityTimeout": "120"})
    assert (report.name, report.sqs_name, report.action) == ("emails", "t_emails", "created")
    assert report.url is not None and report.url.endswith("/t_emails")
    assert report.arn is not None and report.arn.endswith(":t_emails")
    found = attributes(env, "emails")
    assert found["ReceiveMessageWaitTimeSeconds"] == "20"
    assert found["VisibilityTimeout"] == "120"


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("kind", "whole_name"),
    [
        ("ARN", "arn:aws:sqs:local:111122223333:emails"),
        ("URL", "http://127.0.0.1:9324/111122223333/emails"),
    ],
)
def test_a_queue_is_not_created_by_url_or_arn(
    env: SQSEnv, kind: str, whole_name: str, dry_run: bool
) -> None:
    with pytest.raises(SettingsError, match=f"a queue cannot be created by {kind}"):
        create_queue(env, whole_name, dead_letter_queue="dead", dry_run=dry_run)
    assert env.get_all_known_queues() == []


def test_the_dead_letter_queue_is_created_first_and_keeps_messages_for_fourteen_days(
    env: SQSEnv,
) -> None:
    dead, queue = create_queue(env, "emails", dead_letter_queue="emails_dead", tags={"team": "crm"})
    assert [dead.name, queue.name] == ["emails_dead", "emails"]
    assert dead.attributes["MessageRetentionPeriod"] == "1209600"
    assert queue.attributes["MessageRetentionPeriod"] == "345600"
    assert (queue.dlq, queue.max_receives, queue.dlq_visible) == ("emails_dead", 12, 0)
    assert dead.sources == ("emails",)
    assert dead.tags == queue.tags == {"team": "crm"}


def test_a_name_that_ends_in_fifo_makes_a_fifo_queue(env: SQSEnv) -> None:
    reports = create_queue(
        env,
        "orders.fifo",
        dead_letter_queue="orders_dead.fifo",
        attributes={"ContentBasedDeduplication": "true"},
    )
    assert [report.fifo for report in reports] == [True, True]
    assert reports[1].attributes["ContentBasedDeduplication"] == "true"
    assert reports[0].attributes["ContentBasedDeduplication"] == "false"


def test_a_second_call_changes_nothing(env: SQSEnv, faults: Faults) -> None:
    keywords: dict[str, Any] = {
        "dead_letter_queue": "emails_dead",
        "max_receives": 3,
        "attributes": {"VisibilityTimeout": "60"},
        "tags": {"team": "crm"},
    }
    create_queue(env, "emails", **keywords)
    faults.calls.clear()
    reports = create_queue(env, "emails", **keywords)
    assert [report.action for report in reports] == ["unchanged", "unchanged"]
    assert not {"CreateQueue", "SetQueueAttributes", "TagQueue"} & set(faults.calls)


def test_only_requested_settings_are_compared(env: SQSEnv) -> None:
    create_queue(
        env,
        "emails",
        dead_letter_queue="emails_dead",
        max_receives=5,
        attributes={"VisibilityTimeout": "60"},
    )
    for update in (False, True):
        reports = create_queue(env, "emails", dead_letter_queue="emails_dead", update=update)
        assert [report.action for report in reports] == ["unchanged", "unchanged"]
        assert reports[1].max_receives == 5


def test_a_queue_with_other_settings_is_reported_and_not_touched(
    env: SQSEnv, faults: Faults
) -> None:
    create_queue(env, "emails", attributes={"VisibilityTimeout": "30"})
    faults.calls.clear()
    with pytest.raises(QueueDiffers) as caught:
        create_queue(
            env,
            "emails",
            dead_letter_queue="emails_dead",
            attributes={"VisibilityTimeout": "120"},
        )
    assert caught.value.message == "'emails' exists with other settings"
    assert caught.value.why == (
        "VisibilityTimeout is 30 (requested: 120); "
        "the dead-letter queue is none (requested: emails_dead)"
    )
    assert (caught.value.queue, caught.value.next) == ("emails", "use update=True to change it")
    assert not {"CreateQueue", "SetQueueAttributes", "TagQueue"} & set(faults.calls)


def test_every_difference_is_named(env: SQSEnv) -> None:
    create_queue(env, "o.fifo", dead_letter_queue="o_dead.fifo", max_receives=5)
    with pytest.raises(QueueDiffers) as caught:
        create_queue(
            env,
            "o.fifo",
            dead_letter_queue="o_dead.fifo",
            max_receives=7,
            attributes={"KmsMasterKeyId": "alias/mine"},
        )
    assert "maxReceiveCount is 5 (requested: 7)" in str(caught.value.why)
    assert "KmsMasterKeyId is not set (requested: alias/mine)" in str(caught.value.why)


def test_update_changes_what_differs_and_nothing_else(env: SQSEnv) -> None:
    create_queue(env, "emails", attributes={"VisibilityTimeout": "30", "DelaySeconds": "5"})
    reports = create_queue(
        env,
        "emails",
        dead_letter_queue="emails_dead",
        attributes={"VisibilityTimeout": "120"},
        tags={"team": "crm"},
        update=True,
    )
    assert [report.action for report in reports] == ["created", "updated"]
    found = attributes(env, "emails")
    assert (found["VisibilityTimeout"], found["DelaySeconds"]) == ("120", "5")
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == 12
    assert reports[1].tags == {"team": "crm"}


def test_update_to_another_dead_letter_queue_keeps_the_number_of_receives(env: SQSEnv) -> None:
    create_queue(env, "emails", dead_letter_queue="old_dead", max_receives=9)
    reports = create_queue(env, "emails", dead_letter_queue="new_dead", update=True)
    assert (reports[1].dlq, reports[1].max_receives) == ("new_dead", 9)


def test_a_dry_run_creates_nothing(env: SQSEnv, client: Any) -> None:
    dead, queue = create_queue(
        env, "emails", dead_letter_queue="emails_dead", max_receives=3, dry_run=True
    )
    assert (dead.action, queue.action) == ("would_create", "would_create")
    assert (queue.url, queue.arn, queue.visible) == (None, None, None)
    assert (queue.dlq, queue.max_receives) == ("emails_dead", 3)
    assert not client.list_queues().get("QueueUrls")


def test_a_dry_run_reports_what_would_be_changed(env: SQSEnv) -> None:
    create_queue(env, "emails")
    wanted = {"VisibilityTimeout": "120"}
    [report] = create_queue(env, "emails", attributes=wanted, update=True, dry_run=True)
    assert report.action == "would_update"
    [report] = create_queue(env, "emails", dry_run=True)
    assert report.action == "unchanged"
    assert attributes(env, "emails")["VisibilityTimeout"] == "30"


def test_policies_and_booleans_are_compared_by_their_meaning(env: SQSEnv) -> None:
    policy = '{"redrivePermission":"denyAll"}'
    create_queue(env, "o.fifo", attributes={"RedriveAllowPolicy": policy})
    [report] = create_queue(
        env,
        "o.fifo",
        attributes={
            "RedriveAllowPolicy": '{ "redrivePermission": "denyAll" }',
            "ContentBasedDeduplication": "False",
        },
    )
    assert report.action == "unchanged"


@pytest.mark.parametrize(
    ("queue", "dead", "kind", "fitting"),
    [
        ("emails.fifo", "emails_dead", "standard", "emails_dead.fifo"),
        ("emails", "emails_dead.fifo", "FIFO", "emails_dead"),
    ],
)
def test_a_queue_and_its_dead_letter_queue_must_be_of_the_same_kind(
    env: SQSEnv, queue: str, dead: str, kind: str, fitting: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        create_queue(env, queue, dead_letter_queue=dead)
    assert caught.value.message == (
        f"{queue!r} cannot use the {kind} queue {dead!r} as its dead-letter queue"
    )
    assert caught.value.why == "SQS requires both to be FIFO or both to be standard"
    assert caught.value.next == f"name it {fitting!r}"


def test_invalid_numbers_and_names_are_refused(env: SQSEnv) -> None:
    for keywords in (
        {"max_receives": 3},
        {"dead_letter_queue": "emails"},
        {"dead_letter_queue": "dead", "max_receives": 0},
    ):
        with pytest.raises(SettingsError):
            create_queue(env, "emails", **keywords)


def test_a_dead_letter_queue_created_before_an_error_is_kept_and_named(env: SQSEnv) -> None:
    with pytest.raises(SQSError) as caught:
        create_queue(
            env,
            "emails",
            dead_letter_queue="emails_dead",
            attributes={"VisibilityTimeout": "99999999"},
        )
    assert "already created, and kept: emails_dead" in str(caught.value.why)
    assert attributes(env, "emails_dead")


def test_the_functions_of_sqs_workers_create_queues(env: SQSEnv) -> None:
    create_standard_queue(env, "dead")
    policy = env.redrive_policy("dead", 3)
    url = sqsw.sqs_manage.create_standard_queue(env, "emails", 600, 60, policy)
    assert url.endswith("/t_emails")
    found = attributes(env, "emails")
    assert (found["MessageRetentionPeriod"], found["VisibilityTimeout"]) == ("600", "60")
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == 3
    assert found["ReceiveMessageWaitTimeSeconds"] == "0"
    assert create_standard_queue(env, "emails") == url
    create_fifo_queue(env, "orders.fifo", True, 600, 60)
    assert attributes(env, "orders.fifo")["ContentBasedDeduplication"] == "true"


@pytest.mark.parametrize("ending", ["_dead", "-dead", "_dlq", "-dlq", "_deadletter", "-deadletter"])
def test_the_queue_name_is_the_dead_letter_queue_name_without_its_ending(
    ending: str,
) -> None:
    assert queue_name_from_dead_letter_queue(f"emails{ending}") == "emails"
    assert queue_name_from_dead_letter_queue(f"emails{ending}.fifo") == "emails"


@pytest.mark.parametrize("ending", ["_deadletters", "-deadletters"])
def test_plural_endings_are_recognized(ending: str) -> None:
    assert queue_name_from_dead_letter_queue(f"emails{ending}") == "emails"


@pytest.mark.parametrize("name", ["graveyard", "_dead", "-dlq.fifo", "dead", ""])
def test_a_name_without_an_ending_or_without_a_rest_is_refused(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        queue_name_from_dead_letter_queue(name)
    assert caught.value.message == (
        f"cannot derive a queue name from the dead-letter queue {name!r}"
    )
    assert caught.value.why == (
        "it does not end in _dead, -dead, _dlq, -dlq, _deadletter(s) or -deadletter(s)"
    )
    assert (caught.value.reason, caught.value.value) == ("no_source_name", name)


def test_the_package_exports_only_its_three_names() -> None:
    assert sqsw.sqs_manage.create_fifo_queue is create_fifo_queue
    with pytest.raises(AttributeError):
        _ = sqsw.sqs_manage.create_lifo_queue  # type: ignore[attr-defined]  # the name must be missing
