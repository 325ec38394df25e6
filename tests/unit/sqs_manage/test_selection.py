from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sqsw.core.errors import SettingsError
from sqsw.core.message import Message
from sqsw.sqs_manage.message_view import MessageView, view_message
from sqsw.sqs_manage.selection import Filter, Selection
from tests.unit.sqs_manage.queues import failure

UNREADABLE = ("sent_at<yesterday", "error.at>yesterday", "error.deaths<three", "receives>=few")
SENT = datetime(2026, 10, 31, 12, 0, tzinfo=UTC)


def view(**changes: Any) -> MessageView:
    return replace(
        view_message(
            Message("id-1", "handle", "text", {"SentTimestamp": str(int(SENT.timestamp() * 1000))})
        ),
        **{"raw": False, "job": "send_email", "job_id": "order-7", **changes},
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("args.customer=acme", ("args.customer", "=", "acme")),
        ("receives < 5", ("receives", "<", "5")),
        ("receives<=5", ("receives", "<=", "5")),
        ("args.a!=b=c", ("args.a", "!=", "b=c")),
        ("body~time ?out", ("body", "~", "time ?out")),
        ("body !~ ^x", ("body", "!~", "^x")),
        ("job=", ("job", "=", "")),
        ("body=two words", ("body", "=", "two words")),
    ],
)
def test_a_filter_is_path_operator_and_value(text: str, parts: tuple[str, str, str]) -> None:
    found = Filter.parse(text)
    assert (found.path, found.operator, found.value) == parts


@pytest.mark.parametrize("text", ["customer", "", "=x", "body~(", *UNREADABLE])
def test_an_invalid_filter_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Filter.parse(text)


@pytest.mark.parametrize(
    ("text", "args", "holds"),
    [
        # compared as numbers if both are
        ("args.n<10", {"n": 9}, True),
        ("args.n<10", {"n": 10}, False),
        ("args.n<=10", {"n": 10}, True),
        ("args.n=10.0", {"n": 10}, True),
        ("args.n>-1e3", {"n": -999}, True),
        ("args.n=12345678901234567891", {"n": 12345678901234567890}, False),
        # compared as text if one is not a number
        ("args.n<10", {"n": "9"}, False),
        ("args.zip=1234", {"zip": "01234"}, False),
        ("args.zip=01234", {"zip": "01234"}, True),
        ("args.n=ten", {"n": 10}, False),
        # other values are compared as their JSON text
        ("args.flag=true", {"flag": True}, True),
        ("args.flag=1", {"flag": True}, False),
        ("args.list=[1,2]", {"list": [1, 2]}, True),
        # null
        ("args.x=null", {}, True),
        ("args.x=null", {"x": None}, True),
        ("args.x!=null", {"x": 0}, True),
        ("args.x<5", {}, False),
        ("args.x>5", {}, False),
        ("args.x~.", {}, False),
        ("args.x!~.", {}, True),
        # times
        ("args.at<2026-11-01", {"at": "2026-10-31T23:59:59Z"}, True),
        ("args.at<2026-11-01", {"at": "2026-10-31T23:59:59-02:00"}, False),
        ("args.at=2026-11-01T01:00:00+01:00", {"at": "2026-11-01T00:00:00Z"}, True),
        ("args.at<soon", {"at": "2026-11-01T00:00:00Z"}, True),
        # paths
        ("args.items.1=b", {"items": ["a", "b"]}, True),
        ("args.items.2=null", {"items": ["a", "b"]}, True),
        pytest.param(f"args.items.{'9' * 5000}=null", {"items": [1]}, True, id="many digits"),
        ("args.items.-1=null", {"items": ["a", "b"]}, True),
        ("args.user.id=7", {"user": {"id": 7}}, True),
        ("args.user.id.deeper=null", {"user": {"id": 7}}, True),
        # regular expressions
        ("args.to~@example[.]com$", {"to": "ann@example.com"}, True),
        ("args.to!~@example", {"to": "ann@example.com"}, False),
    ],
)
def test_a_filter_matches(text: str, args: dict[str, Any], holds: bool) -> None:
    assert Filter.parse(text).matches(view(args=args)) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("sent_at<2026-11-01", True),
        ("sent_at>2026-11-01", False),
        ("sent_at=2026-10-31T13:00:00+01:00", True),
        ("sent_at~^2026-10", True),
        ("first_received_at=null", True),
        ("receives<5", True),
        ("job=send_email", True),
        ("context.user=null", True),
        ("body~ex", True),
        ("attributes.here=null", True),
    ],
)
def test_a_path_starts_with_a_key_of_the_message(text: str, holds: bool) -> None:
    assert Filter.parse(text).matches(view()) is holds


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("arg.n!=3", "did you mean 'args.n'?"),
        ("argsn>=4", "did you mean 'args'?"),
        ("__class__=1", None),
        ("action=moved", None),
        ("type=Timeout", "did you mean 'error.type'?"),
        ("error.typ=Timeout", "did you mean 'error.type'?"),
        ("error.class=Timeout", None),
        ("error.type.name=Timeout", "did you mean 'error.type'?"),
        ("receives.n<5", "did you mean 'receives'?"),
    ],
)
def test_a_path_that_no_message_has_is_refused(text: str, meant: str | None) -> None:
    with pytest.raises(SettingsError, match="is not a path into a message") as caught:
        Filter.parse(text)
    assert caught.value.next == meant


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("error.type=Timeout", True),
        ("error.type!=ValueError", True),
        ("error.where~^shop[.]", True),
        ("error.fingerprint=0123456789ab", True),
        ("error.at>2026-11-01", True),
        ("error.at>=2026-11-01T12:05:00+02:00", True),
        ("error.first_at>2026-11-01T10:01:00Z", False),
        ("error.deaths<3", False),
        ("error.deaths<12", True),
        ("error.trace~no answer", True),
        ("error=null", False),
    ],
)
def test_a_filter_reads_the_record_of_the_failure(text: str, holds: bool) -> None:
    dead = view(error=failure(deaths=10).to_json())
    assert Filter.parse(text).matches(dead) is holds


def test_a_message_without_a_record_has_null_in_all_of_its_fields() -> None:
    assert Filter.parse("error.type=null").matches(view())
    for text in ("error.deaths<3", "error.deaths>=3", "error.at>2026-11-01", "error.type~."):
        assert not Filter.parse(text).matches(view())


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        (Selection(), True),
        (Selection(jobs=("send_email",)), True),
        (Selection(jobs=("other", "send_*")), True),
        (Selection(jobs=("*mail",)), True),
        (Selection(jobs=("send",)), False),
        (Selection(jobs=("send_emai?",)), False),
        (Selection(ids=frozenset({"id-1", "id-2"})), True),
        (Selection(ids=frozenset({"id-2"})), False),
        (Selection(ids=frozenset({"order-7", "id-2"})), True),
        (Selection(older_than=3600), True),
        (Selection(older_than=3601), False),
        (Selection(older_than=1e300), False),
        (Selection(jobs=("send_email",), filters=(Filter.parse("receives>1"),)), False),
        (Selection(filters=(Filter.parse("receives=1"), Filter.parse("body=text"))), True),
    ],
)
def test_all_conditions_must_be_met(selection: Selection, selected: bool) -> None:
    assert selection.matches(view(), SENT + timedelta(hours=1)) is selected


def test_no_job_name_selects_a_message_without_a_job() -> None:
    assert not Selection(jobs=("*",)).matches(view(job=None, raw=True), SENT)


def test_a_selection_is_true_if_it_excludes_something() -> None:
    assert not Selection()
    assert Selection(limit=1)
    assert Selection(ids=frozenset())
    assert Selection(older_than=0)
    assert not Selection(limit=1).has_conditions


def test_invalid_numbers_are_refused() -> None:
    with pytest.raises(SettingsError):
        Selection(limit=0)
    with pytest.raises(SettingsError):
        Selection(older_than=-1)
