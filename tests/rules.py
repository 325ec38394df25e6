"""Count how many rules of SQS each backend keeps. One test of ``tests/conformance`` is one rule."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from _pytest.terminal import TerminalReporter

_FOLDER = "tests/conformance/"
_NAMES = ("memory", "file", "served", "moto", "elasticmq", "aws")
#: matches the backend in the ids of a test's parameters, at any position
_BACKEND = re.compile(rf"(?<=[\[-])(?:{'|'.join(_NAMES)})(?=[\]-])")
#: pytest's names of outcomes, and the names here
_OUTCOMES = {
    "passed": "kept",
    "xfailed": "known differences",
    "xpassed": "known differences",
    "skipped": "not tried",
    "failed": "broken",
    "error": "broken",
}
#: the last one counts the rest: rules without an outcome
_COLUMNS = ("kept", "known differences", "not tried", "broken", "not applicable")


class Count(NamedTuple):
    """The outcomes of the rules."""

    #: the tests, without the names of backends
    rules: set[str]
    outcomes: dict[str, Counter[str]]

    def lines(self) -> Iterable[str]:
        """Return a table with one line per backend."""
        yield "".join([f"{'backend':<10}", *(f"{column:>19}" for column in _COLUMNS)])
        for name in _NAMES:
            if name not in self.outcomes:
                continue
            counted = self.outcomes[name]
            rest = len(self.rules) - counted.total()
            numbers = [*(counted[column] for column in _COLUMNS[:-1]), rest]
            yield "".join([f"{name:<10}", *(f"{number:>19}" for number in numbers)])


def count(reports: Iterable[tuple[str, str]]) -> Count:
    """Count node ids with their outcomes; ignore those of other tests."""
    result = Count(set(), defaultdict(Counter))
    for node, outcome in reports:
        found = _BACKEND.search(node)
        if node.startswith(_FOLDER) and found:
            result.rules.add(node[: found.start()] + node[found.end() :])
            result.outcomes[found[0]][_OUTCOMES[outcome]] += 1
    return result


class RuleCount:
    """Prints the count at the end of a run."""

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        counted = count(
            (report.nodeid, outcome)
            for outcome in _OUTCOMES
            for report in terminalreporter.stats.get(outcome, ())
        )
        terminalreporter.section(f"{len(counted.rules)} rules of SQS")
        for line in counted.lines():
            terminalreporter.write_line(line)
