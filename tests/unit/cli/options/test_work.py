"""The line that ends ``sqsw work``."""

import pytest

from sqsw.core.reports import report_of
from sqsw_cli.options.work import summary_of


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({}, "0 done, 0 failed in 2.0s; 0 requests"),
        ({"done": 3, "requests": 6}, "3 done, 0 failed in 2.0s; 6 requests, 2.00 per job"),
        (
            {"done": 1, "failed": 3, "dead_lettered": 2, "requests": 13},
            "1 done, 3 failed, 2 dead-lettered in 2.0s; 13 requests, 3.25 per job",
        ),
        (
            {"retried": 1, "unknown": 1, "unfinished": 1, "requests": 1},
            "0 done, 0 failed, 1 asked for a retry, 1 without a processor, "
            "1 returned while running in 2.0s; 1 request, 0.50 per job",
        ),
    ],
    ids=["nothing", "done", "failed", "other outcomes"],
)
def test_the_last_line_counts_only_what_happened(counts: dict[str, int], line: str) -> None:
    assert summary_of(report_of(counts, "until_idle"), 2) == line
