"""Option values as users write them."""

from pathlib import Path
from typing import Any

import click
import pytest

from sqsw.core.errors import SettingsError
from sqsw_cli.main import COMMANDS, cli
from sqsw_cli.options.types import (
    DURATION,
    KEY_VALUE,
    PREFETCH,
    QUEUE_SPEC,
    RECYCLE,
    Duration,
    QueueAsked,
    address_of,
)
from sqsw_cli.sending.items import parse_item


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("30s", 30),
        ("15m", 900),
        ("12h", 43_200),
        ("4d", 345_600),
        ("1h30m", 5_400),
        (7, 7),
    ],
)
def test_a_duration_is_a_number_of_seconds(text: str | int, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "1.5", "m", "1w", "-3", "3 m", "²"])
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration"):
        DURATION.convert(text, None, None)


def test_a_duration_has_bounds() -> None:
    with pytest.raises(click.BadParameter, match="between 10s and 1m"):
        Duration(10, 60).convert("5", None, None)
    for text in ("0", "9" * 22, "9" * 5000, "36501d", "9" * 5000 + "d"):
        with pytest.raises(click.BadParameter, match="between 1s and 36500d"):
            Duration(1).convert(text, None, None)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (QUEUE_SPEC, "emails={}"),
        (QUEUE_SPEC, "emails,weight={}"),
        (PREFETCH, "{}"),
        (RECYCLE, "jobs={}"),
        (RECYCLE, "memory={}M"),
        (RECYCLE, "age={}"),
    ],
)
def test_numbers_with_too_many_digits_are_refused(option: Any, text: str) -> None:
    with pytest.raises(click.BadParameter):
        option.convert(text.format("9" * 5000), None, None)
    with pytest.raises(click.BadParameter):
        address_of("9" * 5000)


def test_a_queue_has_slots_and_weight() -> None:
    def read(text: str) -> tuple[str, int | None, int | None]:
        asked = QUEUE_SPEC.convert(text, None, None)
        return asked.name, asked.slots, asked.weight

    assert read("emails") == ("emails", None, None)
    assert read("emails=2") == ("emails", 2, None)
    assert read("emails,weight=3") == ("emails", None, 3)
    assert read("emails=2,weight=3") == ("emails", 2, 3)
    assert read("emails,weight=3,concurrency=2") == ("emails", 2, 3)
    asked = QUEUE_SPEC.convert("emails,group=4,weight=3", None, None)
    assert (asked.weight, asked.group_slots) == (3, 4)
    assert read("https://sqs.eu-west-1.amazonaws.com/1/emails") == (
        "https://sqs.eu-west-1.amazonaws.com/1/emails",
        None,
        None,
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "=2", "emails=", "emails=0", "emails=x", "emails,w=1", "e,weight=0", "e,group=0"),
        *("e,concurrency=0", "e=2,concurrency=2"),
    ],
)
def test_a_broken_queue_spec_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        QUEUE_SPEC.convert(text, None, None)


def test_the_file_fills_in_what_the_option_leaves_out() -> None:
    table = {"concurrency": 4, "weight": 3}
    assert (QueueAsked("a").share(table).slots, QueueAsked("a").share(table).weight) == (4, 3)
    assert QueueAsked("a", 1, 2).share(table).slots == 1
    assert QueueAsked("a").share({}).weight == 1
    assert QueueAsked("a").share({"group": 5}).group_slots == 5
    assert QueueAsked("a", group_slots=2).share({"group": 5}).group_slots == 2
    assert QueueAsked("a").share({}).group_slots is None


def test_a_tag_is_key_and_value() -> None:
    assert KEY_VALUE.convert("team=a=b", None, None) == ("team", "a=b")
    with pytest.raises(click.BadParameter):
        KEY_VALUE.convert("team", None, None)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("to=user@example.com", ("to", "user@example.com")),
        ("n=1", ("n", "1")),
        ("n:=1", ("n", 1)),
        ("n:=null", ("n", None)),
        ('formats:=["a"]', ("formats", ["a"])),
        ("a=b=c", ("a", "b=c")),
        (r"a\=b=c", ("a=b", "c")),
        ("a:b=c", ("a:b", "c")),
        ("empty=", ("empty", "")),
    ],
)
def test_an_item_is_text_or_json(text: str, item: tuple[str, Any]) -> None:
    assert parse_item(text) == item


def test_an_item_reads_files(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear …\n", encoding="utf-8")
    (tmp_path / "list.json").write_text("[1]")
    assert parse_item(f"body=@{tmp_path}/letter.txt") == ("body", "Dear …\n")
    assert parse_item(f"body:=@{tmp_path}/list.json") == ("body", [1])
    with pytest.raises(SettingsError, match="cannot read"):
        parse_item(f"body=@{tmp_path}/none")
    (tmp_path / "latin").write_bytes(b"\xe4")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        parse_item(f"body=@{tmp_path}/latin")


@pytest.mark.parametrize("text", ["", "word", "=x", "n:=NaN", "n:={", "n:=Infinity"])
def test_a_broken_item_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_item(text)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_options_that_name_a_queue_hide_its_password(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for param in command.params:
        if param.name in ("queue", "queues", "dlq", "target", "processors_from") or (
            (name, param.name) == ("create-queue", "name")
        ):
            value = param.type.convert("http://ann:secret@h/1/q", param, None)
            assert getattr(value, "name", value) == "http://h/1/q", param.name
