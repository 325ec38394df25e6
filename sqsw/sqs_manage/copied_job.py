"""Read a job that a command printed, so its unchanged parts can be sent byte for byte."""

from collections.abc import Mapping
from typing import Any

from sqsw.codecs.envelope import CONTENT_TYPE, JOB_CONTEXT, JOB_NAME
from sqsw.codecs.table import DEFAULT_CONTENT_TYPE, codec_for_sending, get_codec
from sqsw.core.errors import MessageRefused

#: a float holds every integer up to this one
_EXACT_IN_FLOATS = 2**53


def copied_job(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's arguments, body, context and attributes for an ``OutgoingMessage``.

    The body is kept unless ``args`` differs, and the text of the context unless ``context``
    differs.

    Parameters
    ----------
    line :
        An object ``message`` with a job.

    Raises
    ------
    MessageRefused
        The arguments were changed but the context cannot be read, so it cannot be sent with them.
    ContentTypeRefused
        The context was changed, and there is no codec for its content type.
    """
    args, body, context = line.get("args"), line.get("body"), line.get("context")
    attributes, types = line.get("attributes") or {}, line.get("attribute_types") or {}
    # The three attributes that make it a job; a binary attribute with such a name does not count.
    texts = {
        name: text
        for name, text in attributes.items()
        if name in (CONTENT_TYPE, JOB_CONTEXT, JOB_NAME)
        and not types.get(name, "").startswith("Binary")
    }
    others = {name: text for name, text in attributes.items() if name not in texts}
    named = line.get("content_type") or texts.get(CONTENT_TYPE)
    content_type = named or DEFAULT_CONTENT_TYPE
    context_text = texts.get(JOB_CONTEXT)
    if body is None or not (args is None or _still_says(body, args, content_type)):
        if context is None and context_text:
            context = _read(context_text, content_type)
            if not isinstance(context, dict):
                raise MessageRefused(
                    "the arguments were changed, but the 'context' is unreadable",
                    why="arguments and context are sent in one content type",
                    next="add a 'context'",
                )
        own = {} if context is None else {"context": context}
        return {"args": args or {}, "attributes": others, **own}
    if context is not None and not _still_says(context_text or "{}", context, content_type):
        context_text = codec_for_sending(content_type).serialize(context)
    if JOB_NAME not in texts:  # written by hand
        return {
            "args": args,
            "attributes": others,
            "body": body,
            "content_type": line.get("content_type"),
            "context_text": context_text,
        }
    changed = {JOB_NAME: line["job"], CONTENT_TYPE: named, JOB_CONTEXT: context_text}
    given = {name: text for name, text in changed.items() if text is not None}
    return {
        "args": args,
        "attributes": {**others, **given},
        "body": body,
        "content_type": named,
    }


def _still_says(text: str, value: Mapping[str, Any], content_type: str) -> bool:
    """Return whether a body, or a job context as text, still has this value.

    Programs such as jq read numbers as floats, so numbers can lose digits. That is not a change.
    """
    try:
        return _is_same(_read(text, content_type), value)
    except (OverflowError, RecursionError):
        return False


def _read(text: str, content_type: str) -> Any:
    """Return the value of a text; None if it is invalid or unsafe to read."""
    try:
        return get_codec(content_type).deserialize(text)
    except Exception:  # noqa: BLE001  # a codec can raise anything for a hostile text
        return None


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if _is_number(one) and _is_number(other):
        return one == other or (abs(one) > _EXACT_IN_FLOATS and float(one) == float(other))
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
