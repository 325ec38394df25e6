"""JSON values are checked against the annotations of a function."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

import pytest

from sqsw.core.argument_types import find_wrong_type


@pytest.mark.parametrize(
    ("declared", "fitting", "others"),
    [
        (int, [3], ["3", True, 3.5, None]),
        (float, [3, 3.5], ["3", True]),
        (bool, [True], [1, "true"]),
        (str, ["a"], [1, None, ["a"]]),
        (int | None, [3, None], ["3"]),
        (list[int], [[1], ["not looked into"]], ["a", {}]),
        (tuple[int, ...], [[1]], ["a"]),
        (Sequence[str], [["a"], "a"], [1]),
        (dict[str, int], [{}], [[], "a"]),
        (Mapping[str, int], [{}], [[]]),
        (Annotated[int, "page"], [3], ["3"]),
        (Literal["a", 1], ["a", 1], ["b", True]),
        (Any, ["a", 1, None], []),
        (date, ["2026-11-30", 5], []),
        ("NotDefinedAnywhere", ["a", 1], []),
    ],
)
def test_a_value_is_checked_against_its_annotation(
    declared: Any, fitting: list[Any], others: list[Any]
) -> None:
    def job(value): ...  # type: ignore[no-untyped-def]  # annotated below

    job.__annotations__ = {"value": declared}
    assert [find_wrong_type(job, {"value": one}) for one in fitting] == [None] * len(fitting)
    found = [find_wrong_type(job, {"value": one}) for one in others]
    assert [one and one.value for one in found] == others


def test_a_parameter_without_an_annotation_accepts_anything() -> None:
    assert find_wrong_type(lambda value: None, {"value": 1}) is None
    assert find_wrong_type(int, {"value": 1}) is None


def test_the_type_is_reported_as_written() -> None:
    def job(width: int, size: int | list[str] | None = None) -> None: ...

    found = find_wrong_type(job, {"width": 3, "size": "xl"})
    assert found is not None
    assert (found.name, found.declared) == ("size", "int | list[str] | None")
    assert str(find_wrong_type(job, {"width": "3"})) == (
        "WrongType(name='width', declared='int', value='3')"
    )
