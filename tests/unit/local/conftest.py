"""Fixtures for tests of the embedded SQS."""

from collections.abc import Iterator

import pytest

from sqsw.local.engine import LocalEngine
from tests.unit.local.manual import Calls, ManualClock


@pytest.fixture
def sqs() -> Iterator[Calls]:
    """An engine in memory, with a clock that tests move."""
    clock = ManualClock()
    engine = LocalEngine(None, clock=clock)
    yield Calls(engine, clock)
    engine.close()
