"""Metrics of a server, in the text format of Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from sqsw.local.engine import OPERATIONS
from sqsw.local.store import message_queries, queue_rows
from sqsw.local.store.store import Store

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# A client can send any region; names of queues are validated.
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Metrics:
    """Counts requests by operation and status; messages are counted when a page is requested."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        #: receives that are waiting now
        self.waiting = 0

    def count(self, operation: str, status: int) -> None:
        # Operations that a client made up must not create a time series each.
        self.requests[operation if operation in OPERATIONS else "unknown", status] += 1

    def text(self, store: Store) -> str:
        return "".join(f"{line}\n" for line in self._lines(store))

    def _lines(self, store: Store) -> Iterator[str]:
        yield "# HELP sqsw_requests_total Requests answered, by operation and HTTP status."
        yield "# TYPE sqsw_requests_total counter"
        for (operation, status), count in sorted(self.requests.items()):
            labels = f'operation="{operation}",status="{status}"'
            yield f"sqsw_requests_total{{{labels}}} {count}"
        yield "# HELP sqsw_waiting_polls Receives that are waiting for a message."
        yield "# TYPE sqsw_waiting_polls gauge"
        yield f"sqsw_waiting_polls {self.waiting}"
        yield "# HELP sqsw_queue_messages Messages in a queue, by state."
        yield "# TYPE sqsw_queue_messages gauge"
        now = store.now()
        with store.read() as transaction:
            for queue in queue_rows.everywhere(transaction, store):
                counts = message_queries.counts(transaction, queue, now)
                region = queue.arn.region.translate(_ESCAPES)
                for state, count in zip(("visible", "in_flight", "delayed"), counts, strict=True):
                    labels = f'region="{region}",queue="{queue.name}",state="{state}"'
                    yield f"sqsw_queue_messages{{{labels}}} {count}"
