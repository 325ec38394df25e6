"""The count of conformance rules, which a release can quote."""

from tests.rules import count

FOLDER = "tests/conformance/test_x.py::"


def test_rules_are_counted_for_each_backend() -> None:
    counted = count(
        [
            (f"{FOLDER}test_a[memory]", "passed"),
            (f"{FOLDER}test_a[moto]", "xfailed"),
            (f"{FOLDER}test_b[memory-a row]", "failed"),
            (f"{FOLDER}test_b[other row-moto]", "passed"),
            (f"{FOLDER}test_c[moto]", "xpassed"),
            (f"{FOLDER}test_d[aws]", "skipped"),
            (f"{FOLDER}test_without_a_backend", "passed"),
            ("tests/unit/test_y.py::test_e[memory]", "passed"),
        ]
    )
    assert len(counted.rules) == 5
    header, *lines = (line.split() for line in counted.lines())
    assert header[0] == "backend"
    assert lines == [
        # kept, known differences, not tried, broken, not applicable
        ["memory", "1", "0", "0", "1", "3"],
        ["moto", "1", "2", "0", "0", "2"],
        ["aws", "0", "0", "1", "0", "4"],
    ]
