"""JSON: what arrives is what was sent, or it is not sent at all."""

import datetime
import decimal
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqsw.codecs.json_codec import JSONCodec
from sqsw.core.errors import MessageRefused

codec = JSONCodec()

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values))
def test_what_arrives_is_what_was_sent_as_plain_json_in_ascii(message: dict[str, Any]) -> None:
    text = codec.serialize(message)
    assert text.isascii()
    assert codec.deserialize(text) == json.loads(text) == message


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (datetime.datetime(2026, 1, 2), "is of type datetime"),
        (datetime.date(2026, 1, 2), "is of type date"),
        ({1, 2}, "is of type set"),
        (b"bytes", "is of type bytes"),
        (decimal.Decimal("1.5"), "is of type Decimal"),
        (uuid.UUID(int=1), "is of type UUID"),
        (float("nan"), "is nan"),
        (float("inf"), "is inf"),
        (float("-inf"), "is -inf"),
        ({1: "a"}, "has the key 1, and keys in json are strings"),
        ({None: "a"}, "has the key None"),
        ({("a", "b"): 1}, "has the key"),
        (object(), "is of type object"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_the_name_of_its_argument(
    value: object, reason: str
) -> None:
    with pytest.raises(MessageRefused) as caught:
        codec.serialize({"to": "ann", "at": value, "other": {1}})
    assert str(caught.value).startswith(f"argument 'at' {reason}")
    assert caught.value.why
    assert caught.value.next


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"options": {"cc": ["bob", {"since": {1}}]}}, "options.cc.1.since"),
        ({"rows": [(1, 2), (3, b"4")]}, "rows.1.1"),
        ({"options": {"a": {2: "x"}}}, "options.a"),
        ({"rate": [1.0, float("nan")]}, "rate.1"),
    ],
)
def test_a_value_deep_inside_is_refused_by_its_path(message: dict[str, Any], path: str) -> None:
    with pytest.raises(MessageRefused, match=f"argument '{path}' "):
        codec.serialize(message)


def test_a_value_that_contains_itself_is_refused_by_the_name_of_its_argument() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(MessageRefused, match=r"argument 'loop\.0.*nested too deeply"):
        codec.serialize({"fine": 1, "loop": loop})


def test_a_nesting_that_no_reader_could_follow_is_refused() -> None:
    deep: Any = "leaf"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MessageRefused, match=r"argument 'deep\.0.*nested too deeply"):
        codec.serialize({"deep": deep})


def test_tuples_arrive_as_lists() -> None:
    assert codec.deserialize(codec.serialize({"pair": (1, 2)})) == {"pair": [1, 2]}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": ' * 100_000, "nonsense"])
def test_what_is_no_json_raises_and_does_not_end_the_process(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        codec.deserialize(text)
