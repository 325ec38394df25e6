"""Batches in the plain model: what refuses all of one, and how its entries are answered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.model.plain_message import Refused

_CODES = "AWS.SimpleQueueService."


def check_batch(entries: Sequence[Mapping[str, Any]]) -> None:
    """What refuses a whole batch of any kind."""
    if not entries:
        raise Refused(_CODES + "EmptyBatchRequest")
    if len(entries) > 10:
        raise Refused(_CODES + "TooManyEntriesInBatchRequest")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise Refused(_CODES + "BatchEntryIdsNotDistinct")


def each(
    entries: Sequence[Mapping[str, Any]], do: Callable[[Mapping[str, Any]], Any]
) -> dict[str, Any]:
    """Each entry succeeds or fails by itself; a list that is empty is left out."""
    answer: dict[str, Any] = {}
    for entry in entries:
        try:
            result = {"Id": entry["Id"], **(do(entry) or {})}
            answer.setdefault("Successful", []).append(result)
        except Refused as refused:
            result = {"Id": entry["Id"], "Code": refused.code, "SenderFault": True}
            answer.setdefault("Failed", []).append(result)
    return answer
