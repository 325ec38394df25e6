"""Batches in the plain model: checks of the whole batch, and the answers to its entries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.model.plain_message import Refused

_CODES = "AWS.SimpleQueueService."


def check_batch(entries: Sequence[Mapping[str, Any]]) -> None:
    """Refuse the whole batch if it is invalid."""
    if not entries:
        raise Refused(_CODES + "EmptyBatchRequest")
    if len(entries) > 10:
        raise Refused(_CODES + "TooManyEntriesInBatchRequest")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise Refused(_CODES + "BatchEntryIdsNotDistinct")


def each(
    entries: Sequence[Mapping[str, Any]], do: Callable[[Mapping[str, Any]], Any]
) -> dict[str, Any]:
    """Process the entries one by one; omit empty lists from the answer."""
    answer: dict[str, Any] = {}
    for entry in entries:
        try:
            result = {"Id": entry["Id"], **(do(entry) or {})}
            answer.setdefault("Successful", []).append(result)
        except Refused as refused:
            result = {"Id": entry["Id"], "Code": refused.code, "SenderFault": True}
            answer.setdefault("Failed", []).append(result)
    return answer
