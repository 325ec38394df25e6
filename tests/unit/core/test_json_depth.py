"""Deeply nested JSON from untrusted senders."""

import pytest

from sqsw.core.json_depth import MAX_NESTING, read_json
from sqsw.local.rules import validate


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_the_embedded_sqs_has_the_same_limit() -> None:
    assert validate.MAX_NESTING == MAX_NESTING


def test_json_nested_up_to_the_limit_is_read() -> None:
    value = read_json(nested(MAX_NESTING))
    assert str(value) == nested(MAX_NESTING)
    # Many siblings, and brackets in a string, do not count as depth.
    assert read_json("[" + ",".join(["[{}]"] * 200) + "]") == [[{}]] * 200
    assert read_json('{"a": "' + "[" * 200 + '"}') == {"a": "[" * 200}


# Near Python's own limit, json.loads() accepts or rejects a text depending on the stack.
@pytest.mark.parametrize(
    "text", [nested(MAX_NESTING + 1), nested(950), nested(100_000), '{"a":' * 950, "[" * 100_000]
)
def test_json_nested_deeper_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested deeper than 100 levels|Expecting"):
        read_json(text)
