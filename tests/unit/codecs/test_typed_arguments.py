"""Typed arguments are sent as plain JSON and arrive with equal values and the same types."""

import dataclasses
import datetime
import decimal
import enum
import functools
import importlib.util
import json
import uuid
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypedDict

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqsw.codecs.json_codec import JSONCodec
from sqsw.codecs.typed_arguments import TypedArguments
from sqsw.core.errors import DecodeError, MessageRefused, SettingsError


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Line:
    sku: str
    price: decimal.Decimal
    colors: set[Color] = dataclasses.field(default_factory=set)


class Point(NamedTuple):
    x: int
    y: int


class Options(TypedDict, total=False):
    until: datetime.date


class Address(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    street: str = pydantic.Field(alias="Street")
    since: datetime.date
    size: decimal.Decimal | None = None


class Login(pydantic.BaseModel):
    password: pydantic.SecretStr


class Unequal:
    pass


@dataclasses.dataclass(eq=False)
class WithoutEq:
    x: int


def taking(annotation: Any) -> TypedArguments:
    """Return the typed arguments of a function with one parameter, ``value``."""

    def fn(value: Any) -> None: ...

    fn.__annotations__["value"] = annotation
    return TypedArguments(fn)


def passed(annotation: Any, value: Any) -> Any:
    """Return the value that the function gets if this one is sent."""
    arguments = taking(annotation)
    text = JSONCodec.serialize(arguments.to_json({"value": value}))
    return arguments.from_json(JSONCodec.deserialize(text))["value"]


UTC = datetime.UTC
LINE = Line("tea", decimal.Decimal("1.10"), {Color.RED})
ADDRESS = Address(Street="Elm", since=datetime.date(2026, 1, 2), size=decimal.Decimal("7.50"))

VALUES = [
    (datetime.datetime, datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
    (datetime.datetime, datetime.datetime(2026, 1, 2, 3, 4, 5)),
    (datetime.date, datetime.date(2026, 1, 2)),
    (datetime.time, datetime.time(3, 4, 5)),
    (datetime.timedelta, datetime.timedelta(days=2, seconds=3, microseconds=4)),
    (uuid.UUID, uuid.UUID("12345678-1234-5678-1234-567812345678")),
    (decimal.Decimal, decimal.Decimal("1.10")),
    (bytes, b"\x00\xff"),
    (Color, Color.RED),
    (Level, Level.LOW),
    (Line, LINE),
    (list[Line], [LINE, LINE]),
    (dict[uuid.UUID, Line], {uuid.UUID(int=1): LINE}),
    (dict[int, str], {1: "a"}),
    (tuple[int, ...], (1, 2)),
    (frozenset[int], frozenset({1, 2})),
    (Point, Point(1, 2)),
    (Options, {"until": datetime.date(2026, 1, 2)}),
    (Line | None, None),
    (Address, ADDRESS),
    (list[Address] | None, [ADDRESS]),
    (float, 1),
    (Any, {"plain": [1, "a", None]}),
]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=str)
def test_a_value_arrives_equal_and_of_the_same_type(annotation: Any, value: Any) -> None:
    arrived = passed(annotation, value)
    assert arrived == value
    assert type(arrived) is (float if annotation is float else type(value))


@given(st.datetimes(timezones=st.none() | st.timezones()))
def test_any_datetime_arrives_as_the_same_point_in_time(value: datetime.datetime) -> None:
    offset = value.utcoffset()
    if offset is not None and offset % datetime.timedelta(minutes=1):
        return  # before 1972 some zones had offsets with seconds, which ISO 8601 does not have
    arrived = passed(datetime.datetime, value)
    if offset is None:
        assert arrived == value
    else:
        assert arrived.astimezone(UTC) == value.astimezone(UTC)


@dataclasses.dataclass
class Visit:
    at: list[datetime.datetime]


class Stay(pydantic.BaseModel):
    visits: dict[str, tuple[datetime.datetime]]


def test_a_time_in_the_repeated_hour_at_the_end_of_daylight_saving_time_can_be_sent() -> None:
    repeated = datetime.datetime(2026, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))
    moment = repeated.astimezone(UTC)
    assert passed(datetime.datetime, repeated).astimezone(UTC) == moment
    assert passed(Visit, Visit([repeated])).at[0].astimezone(UTC) == moment
    stay = passed(Stay, Stay(visits={"first": (repeated,)}))
    assert stay.visits["first"][0].astimezone(UTC) == moment


@given(st.decimals(allow_nan=False), st.timedeltas(), st.uuids())
def test_any_number_duration_and_uuid_arrives(
    number: decimal.Decimal, duration: datetime.timedelta, key: uuid.UUID
) -> None:
    annotation = tuple[decimal.Decimal, datetime.timedelta, uuid.UUID]
    try:
        assert passed(annotation, (number, duration, key)) == (number, duration, key)
    except MessageRefused as error:  # values that msgspec cannot encode are refused
        assert "argument 'value'" in error.message


def test_objects_without_eq_are_compared_by_their_attributes() -> None:
    assert passed(WithoutEq, WithoutEq(1)).x == 1


def test_the_json_is_plain() -> None:
    plain = taking(Line).to_json({"value": LINE})
    assert plain == {"value": {"sku": "tea", "price": "1.10", "colors": ["red"]}}
    assert taking(Address).to_json({"value": ADDRESS}) == {
        "value": {"Street": "Elm", "since": "2026-01-02", "size": "7.50"}
    }
    assert json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize(
    ("annotation", "value", "message", "why"),
    [
        (uuid.UUID, Unequal(), "cannot be sent", "a Unequal has no JSON form"),
        (uuid.UUID, "no UUID", "does not fit its annotation", "UUID: Invalid UUID"),
        (uuid.UUID, str(uuid.UUID(int=1)), "would not arrive unchanged", "get a UUID"),
        (int, True, "does not fit its annotation", "Expected `int`, got `bool`"),
        (Any, uuid.UUID(int=1), "would not arrive unchanged", "get a str"),
        (Sequence[int], (1, 2), "would not arrive unchanged", "get a list"),
        (Login, Login(password=pydantic.SecretStr("x")), "would not arrive", "not equal to it"),
        (Unequal, 1, "does not fit its annotation", "a Unequal cannot be created from JSON"),
        (Login, "x", "does not fit its annotation", "Login: Input should be an object"),
        (uuid.UUID | str, "x", "does not fit its annotation", "more than one str-like type"),
        (float, float("nan"), "would not arrive unchanged", "not equal"),
    ],
    ids=lambda value: repr(value).partition(" object")[0],
)
def test_a_value_that_would_not_arrive_unchanged_is_refused_by_name(
    annotation: Any, value: Any, message: str, why: str
) -> None:
    with pytest.raises(MessageRefused) as caught:
        taking(annotation).to_json({"value": value})
    assert message in caught.value.message
    assert "'value'" in caught.value.message
    assert why in (caught.value.why or "")
    assert caught.value.next


def test_a_parameter_without_annotation_accepts_only_plain_json() -> None:
    def fn(value, **others): ...  # type: ignore[no-untyped-def]  # on purpose

    arguments = TypedArguments(fn)
    assert arguments.to_json({"value": [1], "more": "x"}) == {"value": [1], "more": "x"}
    with pytest.raises(MessageRefused) as caught:
        arguments.to_json({"value": datetime.date(2026, 1, 2)})
    assert caught.value.next == "annotate the parameter, as in value: date"


def test_a_mismatch_fails_in_the_worker_without_quoting_model_values() -> None:
    with pytest.raises(DecodeError) as caught:
        taking(Address).from_json({"value": {"Street": "Elm", "since": "private"}})
    assert caught.value.message == "the argument 'value' does not fit its annotation"
    assert "Address: since: " in (caught.value.why or "")
    assert "private" not in str(caught.value)
    with pytest.raises(DecodeError, match=r"Expected `decimal`, got `int`|price"):
        taking(Line).from_json({"value": {"sku": "tea", "price": []}})


def test_wrappers_methods_and_partials_have_the_annotations_of_their_functions() -> None:
    def ship(day: "datetime.date", count: int = 1) -> None: ...

    @functools.wraps(ship)
    def logged(*args: Any, **kwargs: Any) -> None: ...

    def for_tenant(fn: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(fn)
        def wrapper(*args: Any, tenant: uuid.UUID, **kwargs: Any) -> None: ...

        wrapper.__annotations__ = {"tenant": uuid.UUID}
        return wrapper

    class Shop:
        def ship(self, day: datetime.date) -> None: ...

        def __call__(self, day: datetime.date) -> None: ...

    functions: list[Callable[..., Any]] = [
        *(ship, logged, for_tenant(ship), Shop().ship, Shop(), functools.partial(ship))
    ]
    for fn in functions:
        assert TypedArguments(fn).from_json({"day": "2026-01-02"}) == {
            "day": datetime.date(2026, 1, 2)
        }
    assert TypedArguments(functions[2]).from_json({"tenant": str(uuid.UUID(int=1))}) == {
        "tenant": uuid.UUID(int=1)
    }


def test_an_annotation_that_cannot_be_evaluated_is_named() -> None:
    def fn(value: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821  # on purpose

    with pytest.raises(TypeError, match="name 'Missing' is not defined; typed arguments need"):
        TypedArguments(fn).to_json({"value": 1})


def test_without_msgspec_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqsw.codecs.typed_arguments.find_spec", lambda name: None)
    with pytest.raises(SettingsError) as caught:
        taking(int)
    assert caught.value.next == "pip install 'sqsw[typed]'"
    assert importlib.util.find_spec("msgspec") is not None
