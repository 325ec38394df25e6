"""Fixtures for queues in memory with simulated faults."""

from collections.abc import Iterator
from typing import Any

import pytest

from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from tests.unit.sqs_manage.faults import Faults


@pytest.fixture
def session() -> Iterator[MemorySession]:
    made = MemorySession(relaxed=True)
    yield made
    made.close()


@pytest.fixture
def env(session: MemorySession) -> SQSEnv:
    return SQSEnv(session, queue_prefix="t_")


@pytest.fixture
def client(env: SQSEnv) -> Any:
    return env.clients.client


@pytest.fixture
def faults(client: Any) -> Faults:
    return Faults(client)


@pytest.fixture
def emails(env: SQSEnv) -> str:
    """Create ``emails`` with the dead-letter queue ``emails_dead``; return its name."""
    create_queue(env, "emails", dead_letter_queue="emails_dead", max_receives=1)
    return "emails"


@pytest.fixture
def orders(env: SQSEnv) -> str:
    """Create ``orders.fifo`` with the dead-letter queue ``orders_dead.fifo``; return its name."""
    create_queue(env, "orders.fifo", dead_letter_queue="orders_dead.fifo", max_receives=1)
    return "orders.fifo"
