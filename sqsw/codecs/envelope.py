"""Convert jobs to SQS entries and back, in the wire format of sqs-workers.

The body is the keyword arguments, serialized by a codec. Three String attributes describe it:
``ContentType``, ``JobContext`` (the job context, serialized by the same codec) and ``JobName``.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqsw.codecs.base import Codec
from sqsw.codecs.table import DEFAULT_CONTENT_TYPE, codec_for_sending, get_codec
from sqsw.core.errors import DecodeError, MessageRefused
from sqsw.core.message import Message
from sqsw.core.wording import described

CONTENT_TYPE = "ContentType"
JOB_CONTEXT = "JobContext"
JOB_NAME = "JobName"

#: The parameters of one SendMessage, without the queue URL.
Entry = dict[str, Any]


class Job(NamedTuple):
    """The job in a message."""

    job_name: str
    job_kwargs: dict[str, Any]
    job_context: dict[str, Any]
    content_type: str


def pack_job(
    job_name: str,
    job_kwargs: Mapping[str, Any],
    job_context: Mapping[str, Any] | None = None,
    content_type: str = DEFAULT_CONTENT_TYPE,
    *,
    deduplication_id: str | None = None,
    group_id: str | None = None,
) -> Entry:
    """Return a job as the parameters of a SendMessage.

    Raises
    ------
    MessageRefused
        The codec cannot serialize a value, which the error names.
    ContentTypeRefused
        There is no codec for the content type.
    """
    codec = codec_for_sending(content_type)
    body = codec.serialize(dict(job_kwargs))
    try:
        context = codec.serialize(dict(job_context or {}))
    except MessageRefused as error:
        raise MessageRefused(
            f"the job context cannot be sent: {error.message}", why=error.why, next=error.next
        ) from error
    return pack_body(
        job_name, body, context, content_type, deduplication_id=deduplication_id, group_id=group_id
    )


def pack_body(
    job_name: str,
    body: str,
    job_context: str,
    content_type: str,
    *,
    deduplication_id: str | None = None,
    group_id: str | None = None,
) -> Entry:
    """Return a job with a serialized body and context as the parameters of a SendMessage."""
    texts = {CONTENT_TYPE: content_type, JOB_CONTEXT: job_context, JOB_NAME: job_name}
    entry = raw_entry(body, deduplication_id=deduplication_id, group_id=group_id)
    entry["MessageAttributes"] = {
        name: {"DataType": "String", "StringValue": text} for name, text in texts.items()
    }
    return entry


def raw_entry(
    body: str,
    *,
    deduplication_id: str | None = None,
    group_id: str | None = None,
) -> Entry:
    """Return the parameters of a SendMessage for an unchanged body."""
    entry: Entry = {"MessageBody": body}
    if deduplication_id is not None:
        entry["MessageDeduplicationId"] = _plain_text(deduplication_id)
    if group_id is not None:
        entry["MessageGroupId"] = _plain_text(group_id)
    return entry


def _plain_text(value: object) -> str:
    # str() on a str enum member would return its name.
    return str.__str__(value) if isinstance(value, str) else str(value)


def job_name_of(message: Message) -> str | None:
    """Return the job name of a message without reading its body."""
    return message.string_attribute(JOB_NAME)


def unpack_job(message: Message, accept: Collection[str] | None = None) -> Job:
    """Return the job in a message.

    Parameters
    ----------
    accept :
        The content types to accept; None for all except pickle.

    Raises
    ------
    DecodeError
        An attribute is missing, or the body or context does not match the content type.
    ContentTypeRefused
        The content type is unknown, or not accepted.
    """
    job_name = message.string_attribute(JOB_NAME)
    content_type = message.string_attribute(CONTENT_TYPE)
    if job_name is None or content_type is None:
        missing = JOB_NAME if job_name is None else CONTENT_TYPE
        raise DecodeError(
            f"the message has no attribute {missing}",
            why="sqsw and sqs-workers attach ContentType, JobContext and JobName to every job; "
            "another program sent this message",
            next="process such messages with a raw queue",
        )
    codec = get_codec(content_type, accept)
    job_kwargs = _read(codec, message.body, content_type, "body")
    context_text = message.string_attribute(JOB_CONTEXT)
    context = _read(codec, context_text, content_type, "context") if context_text else {}
    return Job(job_name, job_kwargs, context, content_type)


def _read(codec: Codec, text: str, content_type: str, where: str) -> dict[str, Any]:
    try:
        value = codec.deserialize(text)
    except Exception as error:  # a codec can raise anything for hostile text
        raise DecodeError(
            f"the {where} is not valid {content_type}", why=described(error)
        ) from error
    # all() would create two generators for each job.
    if isinstance(value, dict) and not [key for key in value if not isinstance(key, str)]:
        return value
    raise DecodeError(
        f"the {where} is not a dictionary with string keys",
        why=f"it is a {type(value).__name__}",
    )
