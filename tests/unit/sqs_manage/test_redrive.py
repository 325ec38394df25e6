import uuid
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.errors import AccessDenied, Busy, QueueNotFound, RedriveError, SettingsError
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage import resend
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.message_view import HandledMessage
from sqsw.sqs_manage.moves import Move, cancel_redrive, redrive_status
from sqsw.sqs_manage.peek import peek_messages
from sqsw.sqs_manage.receive_pass import Notice
from sqsw.sqs_manage.redrive import RedriveReport, redrive
from sqsw.sqs_manage.selection import Filter, Selection
from tests.backends import Backend
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import (
    bodies,
    contents,
    counts,
    dead_letter,
    failure,
    send_jobs,
    send_letter,
)


def where(*texts: str, **others: Any) -> Selection:
    return Selection(filters=tuple(map(Filter.parse, texts)), **others)


def by_sqsw(env: SQSEnv, queue: str, **options: Any) -> RedriveReport:
    options.setdefault("selection", where("receives>0"))
    return redrive(env, queue, poll_seconds=0, **options)


@pytest.fixture
def dead(env: SQSEnv, emails: str) -> list[str]:
    """Create 25 dead letters of ``emails``; return their message ids."""
    ids = send_jobs(env, emails, *[{"n": n} for n in range(25)])
    dead_letter(env, emails)
    return ids


class TestBySQS:
    def test_without_a_selection_sqs_moves_all_to_their_source_queue(
        self, env: SQSEnv, dead: list[str]
    ) -> None:
        looks: list[Move | HandledMessage] = []
        report = redrive(env, "emails_dead", on_progress=looks.append)
        assert (report.moved, report.by_sqs, report.status) == (25, True, "COMPLETED")
        assert counts(env, "emails") == (25, 0)
        last = looks[-1]
        assert isinstance(last, Move)
        assert (last.source, last.destination, last.status) == (
            "emails_dead",
            "emails",
            "COMPLETED",
        )
        assert (last.moved, last.total) == (25, 25)
        assert last.started_at is not None

    def test_a_target_and_a_rate_are_passed_on(self, env: SQSEnv, dead: list[str]) -> None:
        create_queue(env, "other")
        report = redrive(env, "emails_dead", target="other", per_second=500)
        assert (report.moved, report.by_sqs) == (25, True)
        assert counts(env, "other") == (25, 0)
        [move] = redrive_status(env, "emails_dead")
        assert (move.destination, move.rate, move.status) == ("other", 500, "COMPLETED")

    def test_a_target_can_be_a_url_or_an_arn(self, env: SQSEnv, dead: list[str]) -> None:
        [report] = create_queue(env, "other")
        assert redrive(env, "emails_dead", target=report.arn).moved == 25
        assert report.url is not None
        assert redrive(env, report.url, target="emails", poll_seconds=0).moved == 25

    def test_a_queue_is_recognized_under_any_host_name(self, env: SQSEnv, dead: list[str]) -> None:
        url = env.queue_client("emails_dead").url
        other_host = url.replace("sqsw.invalid", "SQSW.invalid:80")
        assert other_host != url
        with pytest.raises(SettingsError, match="to itself"):
            redrive(env, other_host, target="emails_dead")

    def test_an_empty_queue_is_not_an_error(self, env: SQSEnv, emails: str) -> None:
        assert redrive(env, "emails_dead").moved == 0

    def test_a_queue_that_is_not_a_dead_letter_queue_needs_a_target(self, env: SQSEnv) -> None:
        create_queue(env, "jobs")
        with pytest.raises(RedriveError) as caught:
            redrive(env, "jobs")
        assert caught.value.message == "'jobs' is not the dead-letter queue of any queue"
        assert caught.value.why == (
            "SQS makes moves without a filter, and only out of dead-letter queues"
        )
        assert (caught.value.queue, caught.value.next) == ("jobs", "name a target queue")

    def test_a_server_that_would_ignore_the_move_does_not_get_it(
        self, started_backends: dict[str, Backend], tmp_path: Path
    ) -> None:
        elasticmq = started_backends["elasticmq"]
        elasticmq.start()
        env = SQSEnv(elasticmq.session(tmp_path), queue_prefix=f"t{uuid.uuid4().hex[:12]}_")
        create_queue(env, "jobs")
        faults = Faults(env.clients.client)
        with pytest.raises(RedriveError, match="'jobs' is not the dead-letter queue of any queue"):
            redrive(env, "jobs")
        assert faults.count("StartMessageMoveTask") == 0

    def test_the_error_names_the_dead_letter_queue_of_a_source_queue(
        self, env: SQSEnv, emails: str
    ) -> None:
        send_jobs(env, emails, {})
        expected = "its dead-letter queue is 'emails_dead'"
        with pytest.raises(RedriveError) as caught:
            redrive(env, emails)
        assert (caught.value.dead_letter_queue, caught.value.next) == ("emails_dead", expected)
        [failure] = by_sqsw(env, emails).failures
        assert failure.message.endswith(expected)

    def test_with_a_target_sqsw_moves_out_of_any_queue(self, env: SQSEnv) -> None:
        for name in ("jobs", "orders"):
            create_queue(env, name)
        send_jobs(env, "jobs", *[{"n": n} for n in range(12)])
        report = redrive(env, "jobs", target="orders", poll_seconds=0)
        assert (report.moved, report.by_sqs, report.status) == (12, False, None)
        assert (counts(env, "jobs"), counts(env, "orders")) == ((0, 0), (12, 0))

    def test_a_second_move_is_busy_and_can_be_cancelled(self, env: SQSEnv, dead: list[str]) -> None:
        report = redrive(env, "emails_dead", per_second=1, wait=False)
        assert (report.status, report.by_sqs) == ("RUNNING", True)
        with pytest.raises(Busy) as caught:
            redrive(env, "emails_dead")
        assert caught.value.message == "a move out of 'emails_dead' is already running"
        [move] = redrive_status(env, "emails_dead")
        assert caught.value.why == (
            f"SQS runs one move per queue; this one has moved about {move.moved} of 25"
        )
        assert (caught.value.reason, caught.value.queue) == ("move", "emails_dead")
        assert move.status == "RUNNING" and move.handle is not None
        assert cancel_redrive(env, "emails_dead") == move.moved
        assert redrive_status(env, "emails_dead")[0].status == "CANCELLED"

    def test_an_outdated_list_of_moves_does_not_end_the_wait(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        assert redrive(env, "emails_dead").moved == 25
        dead_letter(env, "emails")
        lagging = env.queue_client("emails_dead")
        earlier = lagging.moves(lagging.attributes("QueueArn")["QueueArn"], 10)
        faults.answer("ListMessageMoveTasks", {"Results": earlier}, times=3)
        report = redrive(env, "emails_dead")
        assert report.status == "COMPLETED"
        assert faults.count("ListMessageMoveTasks") > 4

    def test_throttled_checks_do_not_end_the_wait(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        looks: list[Any] = []

        def throttle(look: Any) -> None:
            if not looks:
                faults.refuse("ListMessageMoveTasks", "RequestThrottled", times=2)
            looks.append(look)

        report = redrive(env, "emails_dead", per_second=20, on_progress=throttle)
        assert (report.moved, report.status) == (25, "COMPLETED")

    def test_a_cancel_without_a_running_move_is_an_error(self, env: SQSEnv, emails: str) -> None:
        assert redrive_status(env, "emails_dead") == []
        with pytest.raises(RedriveError) as caught:
            cancel_redrive(env, "emails_dead")
        assert caught.value.code == "ResourceNotFoundException"
        assert caught.value.reason == "not_running"

    def test_a_failed_move_advises_a_target(self, env: SQSEnv, emails: str, faults: Faults) -> None:
        faults.refuse("ListDeadLetterSourceQueues", "AccessDenied")
        send_letter(env, "emails_dead", {"n": 1}, failure())
        with pytest.raises(RedriveError) as caught:
            redrive(env, "emails_dead")
        assert caught.value.message.startswith("the move out of 'emails_dead' failed")
        assert (caught.value.reason, caught.value.queue) == ("failed", "emails_dead")
        assert caught.value.code == "CouldNotDetermineMessageSource"

    @pytest.mark.parametrize(
        "code", ["UnsupportedOperation", "UnknownOperationException", "InvalidAction"]
    )
    def test_sqsw_moves_if_the_service_cannot(
        self, env: SQSEnv, dead: list[str], faults: Faults, code: str
    ) -> None:
        faults.refuse("StartMessageMoveTask", code)
        report = redrive(env, "emails_dead", poll_seconds=0)
        assert (report.moved, report.by_sqs) == (25, False)
        assert counts(env, "emails") == (25, 0)

    def test_a_denied_move_is_an_error(self, env: SQSEnv, dead: list[str], faults: Faults) -> None:
        faults.refuse("StartMessageMoveTask", "AccessDenied")
        with pytest.raises(AccessDenied):
            redrive(env, "emails_dead")


class TestBySqsw:
    def test_only_selected_messages_are_moved(self, env: SQSEnv, dead: list[str]) -> None:
        told: list[Move | HandledMessage] = []
        report = by_sqsw(env, "emails_dead", selection=where("args.n<7"), on_progress=told.append)
        assert (report.moved, report.skipped, report.failed, report.by_sqs) == (7, 18, 0, False)
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((18, 0), (7, 0))
        assert len(told) == 25
        actions = [one.view.action for one in told if isinstance(one, HandledMessage)]
        assert (actions.count("moved"), actions.count("skipped")) == (7, 18)

    def test_no_message_is_deleted_before_it_was_sent(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        by_sqsw(env, "emails_dead")
        calls = [c for c in faults.calls if c in ("SendMessageBatch", "DeleteMessageBatch")]
        assert calls == ["SendMessageBatch", "DeleteMessageBatch"] * 3

    def test_a_crash_between_send_and_delete_duplicates_but_never_loses(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        faults.refuse("DeleteMessageBatch", "AccessDenied")
        with pytest.raises(AccessDenied):
            by_sqsw(env, "emails_dead")
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((25, 0), (10, 0))

    def test_a_send_that_is_refused_deletes_nothing(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        faults.refuse("SendMessageBatch", "AccessDenied")
        with pytest.raises(AccessDenied):
            by_sqsw(env, "emails_dead")
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((25, 0), (0, 0))

    def test_a_request_that_is_refused_as_a_whole_fails_each_of_its_messages(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        faults.refuse("SendMessageBatch", "KmsDisabled", text="the key is off")
        report = by_sqsw(env, "emails_dead", selection=where("args.n<3"))
        assert (report.moved, report.failed, report.skipped) == (0, 3, 22)
        assert {f.code for f in report.failures} == {"KmsDisabled"}
        assert all("the key is off" in failure.message for failure in report.failures)
        assert counts(env, "emails_dead") == (25, 0)

    def test_a_refused_entry_stays_and_is_reported(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        faults.refuse_entries(
            "SendMessageBatch", lambda e: '"n": 3}' in e["MessageBody"], sender_fault=True
        )
        report = by_sqsw(env, "emails_dead")
        assert (report.moved, report.failed) == (24, 1)
        [failure] = report.failures
        assert (failure.code, failure.message) == ("InvalidParameterValue", "no")
        assert (failure.queue, failure.id, failure.item["args"]) == (
            "emails_dead",
            dead[3],
            {"n": 3},
        )
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((1, 0), (24, 0))

    def test_an_entry_that_could_not_be_deleted_is_not_moved_twice(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        faults.refuse_entries("DeleteMessageBatch", lambda e: e["Id"] == "0", sender_fault=True)
        report = by_sqsw(env, "emails_dead")
        assert (report.moved, report.failed) == (22, 3)
        assert "there are two copies" in report.failures[0].message
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((3, 0), (25, 0))

    def test_body_and_attributes_are_kept_byte_for_byte(self, env: SQSEnv, emails: str) -> None:
        entry: dict[str, Any] = {
            "MessageBody": 'no json: \t "é" \U0001f600',
            "MessageAttributes": {
                "binary": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff\x80"},
                "number": {"DataType": "Number.int", "StringValue": "007"},
                "text": {"DataType": "String", "StringValue": "ß"},
            },
            "MessageGroupId": "customer-4",
            "MessageSystemAttributes": {
                "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e"}
            },
        }
        env.queue_client(emails).send(entry)
        dead_letter(env, emails)
        assert by_sqsw(env, "emails_dead").moved == 1
        [message] = contents(env, emails)
        assert message["Body"] == entry["MessageBody"]
        assert message["MessageAttributes"] == entry["MessageAttributes"]
        assert message["Attributes"]["MessageGroupId"] == "customer-4"
        assert message["Attributes"]["AWSTraceHeader"] == "Root=1-5759e988-bd862e"

    def test_a_limit_is_the_number_of_moved_messages(self, env: SQSEnv, dead: list[str]) -> None:
        report = by_sqsw(env, "emails_dead", selection=Selection(limit=12))
        assert (report.moved, report.skipped) == (12, 0)
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((13, 0), (12, 0))

    def test_ids_select_the_messages_to_move(self, env: SQSEnv, dead: list[str]) -> None:
        ids = frozenset([dead[4], dead[20], "unknown"])
        told: list[Notice] = []
        options: dict[str, Any] = {"selection": Selection(ids=ids), "on_notice": told.append}
        report = by_sqsw(env, "emails_dead", dry_run=True, **options)
        assert report.would_move == 2
        report = by_sqsw(env, "emails_dead", **options)
        assert [notice.message for notice in told] == ["1 of 3 ids was not found"] * 2
        assert (report.moved, report.skipped) == (2, 23)
        assert sorted(bodies(env, "emails")) == ['{"n": 20}', '{"n": 4}']

    def test_a_dry_run_moves_nothing(self, env: SQSEnv, dead: list[str]) -> None:
        told: list[Any] = []
        report = by_sqsw(
            env, "emails_dead", selection=where("args.n<7"), dry_run=True, on_progress=told.append
        )
        assert (report.moved, report.would_move, report.skipped) == (0, 7, 18)
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((25, 0), (0, 0))
        assert {one.view.action for one in told} == {"would_move", "skipped"}

    def test_a_dry_run_needs_no_selection(self, env: SQSEnv, dead: list[str]) -> None:
        report = redrive(env, "emails_dead", dry_run=True, poll_seconds=0)
        assert (report.would_move, report.by_sqs) == (25, False)

    def test_each_message_goes_to_its_source_queue(self, env: SQSEnv) -> None:
        for name in ("a", "b"):
            create_queue(env, name, dead_letter_queue="dead", max_receives=1)
            send_jobs(env, name, {"from": name}, {"from": name})
            dead_letter(env, name)
        assert by_sqsw(env, "dead").moved == 4
        assert bodies(env, "a") == ['{"from": "a"}'] * 2
        assert bodies(env, "b") == ['{"from": "b"}'] * 2

    def test_a_message_without_a_known_source_goes_to_the_only_source(
        self, env: SQSEnv, emails: str
    ) -> None:
        send_jobs(env, "emails_dead", {"n": 1})
        assert by_sqsw(env, "emails_dead").moved == 1
        assert counts(env, "emails") == (1, 0)

    def test_a_message_without_a_known_source_fails_with_several_sources(self, env: SQSEnv) -> None:
        for name in ("a", "b"):
            create_queue(env, name, dead_letter_queue="dead")
        send_jobs(env, "dead", {"n": 1})
        report = by_sqsw(env, "dead")
        [failure] = report.failures
        assert failure.code == "NoSource"
        assert failure.message == (
            "its source queue is unknown; 'dead' is the dead-letter queue of a, b; "
            "name a target queue"
        )
        assert by_sqsw(env, "dead", dry_run=True).failed == 1
        assert counts(env, "dead") == (1, 0)

    def test_a_missing_source_fails_only_its_messages(self, env: SQSEnv, client: Any) -> None:
        for name in ("a", "b"):
            create_queue(env, name, dead_letter_queue="dead", max_receives=1)
            send_jobs(env, name, {"from": name})
            dead_letter(env, name)
        client.delete_queue(QueueUrl=env.queue_client("a").url)
        report = by_sqsw(env, "dead")
        assert (report.moved, report.failed) == (1, 1)
        assert "no queue named 'a'" in report.failures[0].message

    def test_a_message_that_fails_again_during_the_redrive_is_not_moved_again(
        self, env: SQSEnv, emails: str, faults: Faults
    ) -> None:
        send_jobs(env, emails, *[{"n": n} for n in range(3)])
        dead_letter(env, emails)
        # Right before the next receive of the redrive, when all three are back in `emails`.
        faults.before("DeleteMessageBatch", lambda: dead_letter(env, emails), times=3)
        assert by_sqsw(env, "emails_dead").moved == 3

    def test_the_rate_is_limited(
        self, env: SQSEnv, dead: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr("time.sleep", slept.append)
        report = by_sqsw(env, "emails_dead", selection=Selection(limit=6), per_second=2)
        assert report.moved == 6
        assert len(slept) == 2
        # Because time.sleep is a mock, the second wait includes the time of the first.
        assert slept[0] == pytest.approx(1, abs=0.3)
        assert slept[1] == pytest.approx(2, abs=0.3)

    def test_a_ctrl_c_finishes_the_batch_and_returns_the_rest(
        self, env: SQSEnv, dead: list[str], faults: Faults
    ) -> None:
        faults.ctrl_c_before("SendMessageBatch")
        told: list[Any] = []
        with pytest.raises(KeyboardInterrupt):
            by_sqsw(env, "emails_dead", selection=where("args.n>=5"), on_progress=told.append)
        assert [one.view.action for one in told] == ["skipped"] * 5 + ["moved"] * 10
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((15, 0), (10, 0))

    def test_a_ctrl_c_finishes_the_batch_of_letters_with_records(
        self, env: SQSEnv, emails: str, faults: Faults
    ) -> None:
        for n in range(25):
            send_letter(env, "emails_dead", {"n": n}, failure())
        faults.ctrl_c_before("SendMessageBatch")
        told: list[Any] = []
        with pytest.raises(KeyboardInterrupt):
            by_sqsw(env, "emails_dead", selection=where("args.n>=5"), on_progress=told.append)
        assert [one.view.action for one in told] == ["moved"] * 5 + ["skipped"] * 5
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((20, 0), (5, 0))

    @pytest.mark.parametrize("bound", ["none", "_MAX_POSTPONED", "_MAX_POSTPONED_BYTES"])
    def test_letters_that_sqs_moved_are_postponed_up_to_a_limit(
        self, env: SQSEnv, dead: list[str], monkeypatch: pytest.MonkeyPatch, bound: str
    ) -> None:
        send_letter(env, "emails_dead", {}, failure())
        sizes = [one.size for one in peek_messages(env, "emails_dead", 12)]
        if bound != "none":
            monkeypatch.setattr(resend, bound, 12 if bound == "_MAX_POSTPONED" else sum(sizes))
        told: list[Any] = []
        assert by_sqsw(env, "emails_dead", on_progress=told.append).moved == 26
        place = [one.view.error is not None for one in told].index(True)
        assert place == (0 if bound == "none" else 13)

    def test_an_error_of_a_listener_returns_the_rest(self, env: SQSEnv, dead: list[str]) -> None:
        def fail(progress: Any) -> None:
            raise BrokenPipeError

        with pytest.raises(BrokenPipeError):
            by_sqsw(env, "emails_dead", on_progress=fail)
        assert (counts(env, "emails_dead"), counts(env, "emails")) == ((15, 0), (10, 0))

    def test_invalid_arguments_are_refused_before_anything_moves(
        self, env: SQSEnv, dead: list[str]
    ) -> None:
        for options in (
            {"target": "emails_dead"},
            {"per_second": 0},
            {"per_second": 501},
            {"selection": Selection(limit=1), "wait": False},
        ):
            with pytest.raises(SettingsError):
                redrive(env, "emails_dead", **options)
        with pytest.raises(QueueNotFound):
            by_sqsw(env, "emails_dead", target="nothing")
        with pytest.raises(QueueNotFound):
            redrive(env, "nothing")
        assert counts(env, "emails_dead") == (25, 0)


class TestFifo:
    def test_messages_move_in_order_with_their_group_and_the_id_as_deduplication_id(
        self, env: SQSEnv, orders: str
    ) -> None:
        sent = send_jobs(
            env, orders, *[{"group": group, "n": n} for n in range(12) for group in ("a", "b")]
        )
        dead_letter(env, orders)
        report = by_sqsw(env, "orders_dead.fifo")
        assert (report.moved, report.failed) == (24, 0)
        messages = contents(env, orders)
        for group in ("a", "b"):
            numbers = [m["Body"] for m in messages if m["Attributes"]["MessageGroupId"] == group]
            assert numbers == [f'{{"group": "{group}", "n": {n}}}' for n in range(12)]
        # Like SQS, the embedded SQS keeps the id of a message that it dead-letters.
        assert {m["Attributes"]["MessageDeduplicationId"] for m in messages} == set(sent)

    def test_a_request_has_one_message(self, env: SQSEnv, orders: str, faults: Faults) -> None:
        send_jobs(env, orders, *[{"n": n} for n in range(3)])
        dead_letter(env, orders)
        faults.calls.clear()
        by_sqsw(env, "orders_dead.fifo")
        assert faults.count("SendMessageBatch") == 3

    def test_no_message_overtakes_one_that_could_not_be_sent(
        self, env: SQSEnv, orders: str, faults: Faults
    ) -> None:
        send_jobs(
            env, orders, *[{"group": group, "n": n} for n in range(4) for group in ("a", "b")]
        )
        dead_letter(env, orders)
        faults.refuse_entries(
            "SendMessageBatch",
            lambda e: e["MessageBody"] == '{"group": "a", "n": 1}',
            sender_fault=True,
        )
        report = by_sqsw(env, "orders_dead.fifo")
        assert (report.moved, report.failed) == (5, 3)
        assert [failure.code for failure in report.failures] == [
            "InvalidParameterValue",
            "GroupStopped",
            "GroupStopped",
        ]
        assert [m["Body"] for m in contents(env, "orders_dead.fifo")] == [
            f'{{"group": "a", "n": {n}}}' for n in (1, 2, 3)
        ]

    def test_a_standard_queue_moves_to_a_fifo_queue_and_back(
        self, env: SQSEnv, orders: str
    ) -> None:
        create_queue(env, "plain")
        send_jobs(env, "plain", {"n": 1})
        assert redrive(env, "plain", target=orders, poll_seconds=0).moved == 1
        [message] = contents(env, orders)
        assert message["Attributes"]["MessageGroupId"] == "default"
        send_jobs(env, "orders_dead.fifo", {"group": "g", "n": 2})
        assert by_sqsw(env, "orders_dead.fifo", target="plain").moved == 1
        [message] = contents(env, "plain")
        assert message["Attributes"]["MessageGroupId"] == "g"


def test_a_session_without_a_prefix_works() -> None:
    session = MemorySession()
    env = SQSEnv(session)
    create_queue(env, "emails", dead_letter_queue="emails_dead", max_receives=1)
    send_jobs(env, "emails", {"n": 1})
    dead_letter(env, "emails")
    assert redrive(env, "emails_dead").moved == 1
    session.close()
