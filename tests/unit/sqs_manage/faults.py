"""Simulated SQS faults between botocore and the embedded SQS."""

import copy
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Condition = Callable[[dict[str, Any]], bool]


class Faults:
    """Makes SQS refuse batch entries or whole calls, and records all calls in order."""

    def __init__(self, client: Any) -> None:
        self._events = client.meta.events
        # Calls of several threads wait for one fault, and see it done.
        self._lock = threading.RLock()
        self.calls: list[str] = []
        self._events.register("provide-client-params.sqs", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)

    def count(self, operation: str) -> int:
        """Return how often an operation was called."""
        return self.calls.count(operation)

    def refuse(self, operation: str, code: str, *, text: str = "no", times: int = 1_000) -> None:
        """Refuse the next ``times`` calls of an operation; they do not reach the queues."""
        self._answer(operation, 400, {"Error": {"Code": code, "Message": text}}, times)

    def answer(self, operation: str, result: dict[str, Any], *, times: int = 1_000) -> None:
        """Answer the next ``times`` calls of an operation; they do not reach the queues."""
        self._answer(operation, 200, result, times)

    def _answer(self, operation: str, status: int, parsed: dict[str, Any], times: int) -> None:
        left = [times]

        def answer(**_: Any) -> Any:
            with self._lock:
                if not left[0]:
                    return None
                left[0] -= 1
            return SimpleNamespace(status_code=status), copy.deepcopy(parsed)

        self._events.register(f"before-call.sqs.{operation}", answer)

    def refuse_entries(
        self, operation: str, condition: Condition, *, sender_fault: bool, times: int = 1_000
    ) -> None:
        """Refuse entries that meet the condition, in the next ``times`` calls that have some."""
        left = [times]
        refused: list[str] = []

        def take_out(params: dict[str, Any], **_: Any) -> dict[str, Any]:
            refused.clear()
            if left[0]:
                refused.extend(e["Id"] for e in params["Entries"] if condition(e))
                left[0] -= bool(refused)
            kept = [entry for entry in params["Entries"] if entry["Id"] not in refused]
            # A batch cannot be empty. If all entries are refused, it does not reach the queues.
            return {**params, "Entries": kept or params["Entries"]}

        def answer_if_empty(params: dict[str, Any], **_: Any) -> Any:
            sent = {entry["Id"] for entry in json.loads(params["body"])["Entries"]}
            if sent <= set(refused):
                return SimpleNamespace(status_code=200), {"Successful": [], "Failed": []}
            return None

        def put_in(parsed: dict[str, Any], **_: Any) -> None:
            parsed.setdefault("Failed", []).extend(
                {
                    "Id": entry_id,
                    "Code": "InvalidParameterValue" if sender_fault else "InternalError",
                    "Message": "no",
                    "SenderFault": sender_fault,
                }
                for entry_id in refused
            )

        self._events.register(f"provide-client-params.sqs.{operation}", take_out)
        self._events.register(f"before-call.sqs.{operation}", answer_if_empty)
        self._events.register(f"after-call.sqs.{operation}", put_in)

    def before(self, operation: str, act: Callable[[], None], *, times: int = 1_000) -> None:
        """Do something right before the next ``times`` calls of an operation go out."""
        left = [times]

        def act_if_left(**_: Any) -> None:
            with self._lock:
                if left[0]:
                    left[0] -= 1
                    act()

        self._events.register_first(f"before-send.sqs.{operation}", act_if_left)

    def ctrl_c_before(self, operation: str) -> None:
        """Press Ctrl-C right before the first call of an operation goes out."""

        def press() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)  # the main thread must handle it before this call continues

        self.before(operation, press, times=1)
