"""The shapes of answers (members, types, and error codes), and their differences."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tests.model.operations import COUNTS, Stage

ABSENT = "absent"


class Seen(NamedTuple):
    """A difference between two answers, in the form of the table of known differences."""

    words: str
    ours: str
    theirs: str


def differences(ours: Stage, theirs: Stage) -> Iterator[Seen]:
    """Yield the differences, until the two queues have different messages."""
    kind = ours.play.kind.split()[0]  # differences with dead letters have the same names
    steps = [*ours.play.before, *ours.play.after]
    for step, mine, other in zip(steps, ours.answers, theirs.answers, strict=True):
        words = f"{kind}: {step.words}"
        if mine is None and other is None:
            continue
        told, other_told = _told(mine), _told(other)
        if told != other_told:
            yield Seen(words, told, other_told)
            if _changed(mine) != _changed(other):
                return
            continue
        elif (parted := _parted(mine, other)) is not None:
            yield Seen(words, *parted)
            return
        for path, left, right in _compared("", _shape(mine), _shape(other)):
            yield Seen(words, f"{path}: {left}", f"{path}: {right}")


def _changed(answer: Any) -> int | None:
    """Return how many entries succeeded; if the numbers differ, so do the queues."""
    if isinstance(answer, Mapping):
        return len(answer.get("Successful") or [])
    return None


def _parted(mine: Any, other: Any) -> tuple[str, str] | None:
    """Return a difference that shows that the queues have different messages."""
    if isinstance(mine, ClientError):
        return None
    for name in COUNTS:
        left, right = (answer.get("Attributes", {}).get(name) for answer in (mine, other))
        if left != right:
            return "exact counts", "other counts"
    bodies, others = _bodies(mine), _bodies(other)
    if sorted(bodies) != sorted(others):
        fewer = len(others) < len(bodies)
        return "messages", "fewer messages" if fewer else "more or other messages"
    if any(_of_group(bodies, group) != _of_group(others, group) for group in ("g1", "g2")):
        return "messages in order", "another order"
    return None


def _of_group(bodies: list[str], group: str) -> list[str]:
    """Return the bodies of a group, because SQS only guarantees the order in groups."""
    return [body for body in bodies if body.startswith(group)]


def _told(answer: Any) -> str:
    if isinstance(answer, ClientError):
        response = answer.response
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        return f"{response['Error']['Code']} ({status})"
    if answer is None:
        return "no receipt handle"
    failed = answer.get("Failed") or []
    codes = sorted({entry["Code"] for entry in failed})
    return f"failed: {', '.join(codes)}" if codes else "accepted"


def _bodies(answer: Mapping[str, Any]) -> list[str]:
    return [message["Body"] for message in answer.get("Messages", [])]


def _shape(answer: Any) -> Any:
    if isinstance(answer, ClientError):
        return {}  # its code and status are compared elsewhere
    if isinstance(answer, Mapping):
        if "Messages" in answer:
            in_order = sorted(answer["Messages"], key=lambda message: str(message["Body"]))
            answer = {**answer, "Messages": in_order}
        return {key: _shape(value) for key, value in answer.items() if key != "Message"}
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return [_shape(value) for value in answer]
    if isinstance(answer, str):
        if re.fullmatch("[0-9a-f]{32}", answer):
            return f"md5 {answer}"
        return "digits" if answer.isdigit() else "text"
    return type(answer).__name__


def _compared(path: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str, str]]:
    """Yield path, our shape, and their shape for each place where the shapes differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            inner = f"{path}.{key}" if path else key
            yield from _compared(inner, ours.get(key, ABSENT), theirs.get(key, ABSENT))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for left, right in zip(ours, theirs, strict=True):
            yield from _compared(f"{path}[]", left, right)
    elif ours != theirs:
        yield path, _in_short(ours), _in_short(theirs)


def _in_short(shape: Any) -> str:
    if isinstance(shape, list):
        return "a list" if shape else "an empty list"
    if isinstance(shape, dict):
        return "a map" if shape else "an empty map"
    return str(shape).split()[0]
