"""Message attributes: valid values, selection, and stored form."""

import pytest

from sqsw.local.errors import InvalidParameterValueException, SerializationException
from sqsw.local.rules.digests import AttributeValue
from sqsw.local.rules.message_attributes import from_json, read_attributes, select, size_of, to_json
from sqsw.local.rules.validate import Params
from tests.unit.local.manual import refused


def read(value: object) -> AttributeValue:
    params = Params({"MessageAttributes": {"k": value}}, "local", "http://h")
    return read_attributes(params)["k"]


@pytest.mark.parametrize(
    "text", ["0", "-1", "+1.50", ".5", "1.", "1e126", "-1E128", "9" * 38, "0" * 50 + "1"]
)
def test_valid_numbers_are_accepted(text: str) -> None:
    assert read({"DataType": "Number", "StringValue": text}).value == text


@pytest.mark.parametrize(
    "text", ["", "x", "1,5", "1e127", "-1.1e128", "9" * 39, "NaN", "inf", "1e99999", "٣", " 1"]
)
def test_invalid_numbers_are_refused(text: str) -> None:
    with refused(InvalidParameterValueException):
        read({"DataType": "Number", "StringValue": text})


@pytest.mark.parametrize(
    "value",
    [
        {"DataType": "String"},
        {"DataType": "Binary", "StringValue": "x"},
        {"DataType": "", "StringValue": "x"},
        {"DataType": "string", "StringValue": "x"},
        {"DataType": "Strings", "StringValue": "x"},
        {"DataType": "String." + "x" * 250, "StringValue": "x"},
        {"DataType": "String", "StringListValues": ["x"]},
        {},
    ],
)
def test_invalid_values_are_refused(value: object) -> None:
    with refused(InvalidParameterValueException):
        read(value)


@pytest.mark.parametrize(
    "value",
    [
        "x",
        {"DataType": 1, "StringValue": "x"},
        {"DataType": "String", "StringValue": 1},
        {"DataType": "Binary", "BinaryValue": [1]},
        {"DataType": "String", "StringValue": "x", "StringListValues": 1},
    ],
)
def test_invalid_types_are_refused(value: object) -> None:
    with refused(SerializationException):
        read(value)


def test_stored_attributes_are_read_back_unchanged() -> None:
    attributes = {"a": AttributeValue("String", "ü"), "b": AttributeValue("Binary.x", b"\xff")}
    assert from_json(to_json(attributes)) == attributes
    assert from_json(to_json({})) == {}


def test_the_size_counts_raw_bytes() -> None:
    assert size_of({"kü": AttributeValue("Binary", b"\xff\x00")}) == 3 + 6 + 2


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([], ""),
        (["a"], "a"),
        (["A"], ""),
        (["All"], "a ab b"),
        (["*"], "a ab b"),
        ([".*"], "a ab b"),
        (["a.*"], "a ab"),
        (["b", "c.*"], "b"),
    ],
)
def test_attributes_are_selected_by_name(wanted: list[str], names: str) -> None:
    attributes = {name: AttributeValue("String", "x") for name in ("a", "ab", "b")}
    assert " ".join(select(attributes, wanted)) == names
