"""A clock that tests move, and shortcuts to call an engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.errors import ServiceError

START = 1_700_000_000.0


class ManualClock:
    """A clock that only moves if a test moves it."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds

    def pass_seconds(self, seconds: float) -> None:
        self.seconds += seconds


class Calls:
    """Shortcuts to call the operations of one engine."""

    def __init__(self, engine: LocalEngine, clock: ManualClock) -> None:
        self.engine, self.clock = engine, clock

    def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.engine.handle(operation, params)

    def make(self, name: str = "q", **attributes: Any) -> str:
        texts = {key: str(value) for key, value in attributes.items()}
        if name.endswith(".fifo"):
            texts.setdefault("FifoQueue", "true")
            texts.setdefault("ContentBasedDeduplication", "true")
        url: str = self("CreateQueue", QueueName=name, Attributes=texts)["QueueUrl"]
        return url

    def send(self, url: str, *texts: str, **options: Any) -> list[dict[str, Any]]:
        return [self("SendMessage", QueueUrl=url, MessageBody=text, **options) for text in texts]

    def receive(self, url: str, count: int = 10, **options: Any) -> list[dict[str, Any]]:
        answer = self("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=count, **options)
        return list(answer.get("Messages", []))

    def bodies(self, url: str, count: int = 10, **options: Any) -> list[str]:
        return [message["Body"] for message in self.receive(url, count, **options)]

    def delete(self, url: str, message: dict[str, Any]) -> None:
        self("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def hide(self, url: str, message: dict[str, Any], seconds: int) -> None:
        self(
            "ChangeMessageVisibility",
            QueueUrl=url,
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=seconds,
        )

    def counts(self, url: str) -> tuple[int, int, int]:
        """Return the numbers of ready, in-flight, and delayed messages."""
        values = self("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
        ready, in_flight, delayed = (
            int(values[f"ApproximateNumberOfMessages{suffix}"])
            for suffix in ("", "NotVisible", "Delayed")
        )
        return ready, in_flight, delayed

    def rows(self, sql: str) -> list[Any]:
        with self.engine.store.read() as transaction:
            return transaction.rows(sql)

    def statements(self) -> list[str]:
        """Return a list to which this thread's connection adds the statements it runs."""
        run: list[str] = []
        with self.engine.store._connections.use() as connection:
            connection.set_trace_callback(run.append)
        return run


@contextmanager
def refused(kind: type[ServiceError], text: str = "") -> Iterator[None]:
    """Assert that the call inside raises this error, with ``text`` in its message."""
    with pytest.raises(kind) as caught:
        yield
    assert text in caught.value.text
