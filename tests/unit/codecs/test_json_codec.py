"""JSON: a value arrives unchanged, or it is refused when it is sent."""

import collections
import datetime
import decimal
import enum
import json
import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqsw import codecs
from sqsw.codecs.envelope import pack_body, pack_job, unpack_job
from sqsw.codecs.json_codec import JSONCodec
from sqsw.core.errors import DecodeError, MessageRefused
from sqsw.core.message import Message

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
def test_a_value_arrives_unchanged_as_plain_json_in_ascii(message: dict[str, Any]) -> None:
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
        ({1: "a"}, "has the key 1, but JSON keys are strings"),
        ({None: "a"}, "has the key None"),
        ({("a", "b"): 1}, "has the key"),
        (object(), "is of type object"),
    ],
)
def test_an_argument_without_a_json_form_is_refused_by_name(value: object, reason: str) -> None:
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
def test_a_nested_value_is_refused_by_its_path(message: dict[str, Any], path: str) -> None:
    with pytest.raises(MessageRefused, match=f"argument '{path}' "):
        codec.serialize(message)


def test_a_value_that_contains_itself_is_refused_by_name() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(MessageRefused, match=r"argument 'loop\.0.*nested too deeply"):
        codec.serialize({"fine": 1, "loop": loop})


def test_nesting_that_is_too_deep_is_refused() -> None:
    deep: Any = "leaf"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MessageRefused, match=r"argument 'deep\.0.*nested too deeply"):
        codec.serialize({"deep": deep})


class Mood(str, enum.Enum):  # noqa: UP042  # its str() must differ from its value
    GOOD = "good"


class Level(enum.IntEnum):
    LOW = 1


class Flags(enum.IntFlag):
    A = 1


class Plain(enum.Enum):
    ONE = 1


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    pass


class Number(int):
    pass


class Rate(float):
    pass


class Rows(list[Any]):
    pass


class Pair(tuple[Any, ...]):
    pass


CHANGED: list[tuple[Any, str]] = [
    (Mood.GOOD, ".value"),
    (Level.LOW, ".value"),
    (Flags.A, ".value"),
    (Plain.ONE, ".value"),
    (Point(1, 2), "._asdict()"),
    (Text("x"), "str(value)"),
    (Number(1), "int(value)"),
    (Rate(1.5), "float(value)"),
    (Rows([1]), "list(value)"),
    (Pair([1]), "tuple(value)"),
    (collections.OrderedDict(a=1), "dict(value)"),
    (collections.defaultdict(int, a=1), "dict(value)"),
    (collections.Counter("a"), "dict(value)"),
]


@pytest.mark.parametrize(("value", "instead"), CHANGED, ids=lambda value: type(value).__name__)
def test_a_value_that_would_arrive_changed_is_refused_with_advice(
    value: object, instead: str
) -> None:
    messages: dict[str, dict[str, Any]] = {
        "at": {"at": value},
        "rows.1.1.at": {"rows": [1, (2, {"at": value})]},
    }
    for path, message in messages.items():
        with pytest.raises(MessageRefused, match=f"^argument '{path}' is of type ") as caught:
            codec.serialize(message)
        assert caught.value.next
        assert instead in caught.value.next
    with pytest.raises(MessageRefused, match="job context cannot be sent: argument 'at'"):
        pack_job("job", {}, {"at": value})


@pytest.mark.parametrize("key", [Mood.GOOD, Text("x"), Level.LOW, True])
def test_a_key_that_would_arrive_changed_is_refused(key: Any) -> None:
    with pytest.raises(MessageRefused, match="argument 'options' has "):
        codec.serialize({"options": {key: 1}})


def test_numbers_with_too_many_digits_are_refused() -> None:
    with pytest.raises(MessageRefused, match=r"argument 'n\.0' is a number with too many digits"):
        codec.serialize({"n": [10**5000]})


@pytest.mark.parametrize("value", ["\ud800", "a\udc00b", "\ude00\ud83d", {"\ud83d": 1}])
def test_an_unpaired_surrogate_is_refused_in_both_directions(value: Any) -> None:
    for message in ({"at": value}, {"rows": [value]}):
        with pytest.raises(MessageRefused, match="unpaired surrogate"):
            codec.serialize(message)
        with pytest.raises(ValueError, match="surrogates not allowed"):
            codec.deserialize(json.dumps(message))
        with pytest.raises(ValueError, match="surrogates not allowed"):
            codec.deserialize(json.dumps(message).replace("\\ud", "\\uD"))
        with pytest.raises(ValueError, match="surrogates not allowed"):
            codec.deserialize(json.dumps(message, ensure_ascii=False))


@pytest.mark.parametrize("text", ["\U0001f369", "a\\ud800", "\\\U0001f369 é"])
def test_surrogate_pairs_and_text_that_looks_like_escapes_arrive_unchanged(text: str) -> None:
    for message in ({"at": text}, {text: [text]}):
        assert codec.deserialize(codec.serialize(message)) == message
        assert codec.deserialize(json.dumps(message, ensure_ascii=False)) == message


UNREADABLE = {
    "nan": "NaN",
    "infinity": "Infinity",
    "minus_infinity": "-Infinity",
    "huge": "1e999",
    "minus_huge": "-1" + "0" * 400 + ".0",
    "surrogate": '"\\ud800"',
    "digits": "1" * 5000,
    "nested": "[" * 100_000,
}


@pytest.mark.parametrize("place", ["body", "context"])
@pytest.mark.parametrize("value", UNREADABLE)
def test_values_that_no_sender_can_send_make_a_received_job_unreadable(
    value: str, place: str
) -> None:
    texts = {"body": "{}", "context": "{}", place: f'{{"x": [{UNREADABLE[value]}]}}'}
    entry = pack_body("job", texts["body"], texts["context"], "json")
    received = Message(
        "id", "handle", entry["MessageBody"], message_attributes=entry["MessageAttributes"]
    )
    with pytest.raises(DecodeError, match=f"^the {place} is not valid json"):
        unpack_job(received)


@pytest.mark.parametrize("name", ["JSONCodec", "PickleCodec", "PickleCompatCodec"])
def test_the_methods_of_a_codec_can_be_called_on_the_class(name: str) -> None:
    for kind in (getattr(codecs, name), getattr(codecs, name)()):
        assert kind.deserialize(kind.serialize({"to": "ann"})) == {"to": "ann"}


def test_tuples_arrive_as_lists() -> None:
    assert codec.deserialize(codec.serialize({"pair": (1, 2)})) == {"pair": [1, 2]}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": ' * 100_000, "nonsense"])
def test_invalid_json_raises_and_does_not_end_the_process(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        codec.deserialize(text)
