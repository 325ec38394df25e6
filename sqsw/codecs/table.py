"""The codecs by content type, and which content types a queue accepts."""

from collections.abc import Collection

from sqsw.codecs.base import Codec
from sqsw.codecs.json_codec import JSONCodec
from sqsw.codecs.pickle_codec import PickleCodec, PickleCompatCodec
from sqsw.core.errors import ContentTypeRefused, SettingsError

#: the default content type of jobs
DEFAULT_CONTENT_TYPE = "json"

#: the codecs of all content types that can be sent
CONTENT_TYPES_CODECS: dict[str, Codec] = {
    "json": JSONCodec(),
    "pickle": PickleCodec(),
    "pickle_compat": PickleCompatCodec(),
}


def register_codec(content_type: str, codec: Codec) -> None:
    """Register a custom codec.

    Queues without ``accept=`` accept its content type from then on.

    Raises
    ------
    SettingsError
        The content type already has another codec.
    """
    if CONTENT_TYPES_CODECS.get(content_type, codec) is not codec:
        raise SettingsError(f"{content_type!r} already has a codec")
    CONTENT_TYPES_CODECS[content_type] = codec


def accepted_by_default() -> list[str]:
    """Return the content types that a queue without ``accept=`` accepts: all except pickle.

    Unpickling runs code of the sender, so this excludes pickle codecs under any name.
    """
    return [
        name for name, codec in CONTENT_TYPES_CODECS.items() if not isinstance(codec, PickleCodec)
    ]


def check_accept(accept: Collection[str] | None) -> None:
    """Reject a str as the list of content types.

    Raises
    ------
    SettingsError
        It is a str, in which ``in`` would search for substrings.
    """
    if isinstance(accept, str):
        raise SettingsError(
            f"accept must be a list of content types, not {accept!r}",
            next=f"accept=[{accept!r}]",
        )


def get_codec(content_type: str, accept: Collection[str] | None = None) -> Codec:
    """Return the codec for received messages of a content type.

    Parameters
    ----------
    accept :
        The content types to accept; None for all except pickle.

    Raises
    ------
    ContentTypeRefused
        The content type is unknown, or not accepted.
    """
    codec = CONTENT_TYPES_CODECS.get(content_type)
    if accept is None:
        is_accepted = codec is not None and not isinstance(codec, PickleCodec)
    else:
        is_accepted = content_type in accept
    if not is_accepted:
        accepted = accepted_by_default() if accept is None else accept
        listed = ", ".join([*accepted, content_type])
        raise ContentTypeRefused(
            f"content type {content_type!r} is not accepted",
            why=f"accepted here: {', '.join(accepted) or 'none'}",
            next=f"if you trust every sender to this queue, use accept=[{listed}]"
            if codec is not None
            else "register a codec for it, or find out which program sends such messages",
        )
    return codec or codec_for_sending(content_type)


def codec_for_sending(content_type: str) -> Codec:
    """Return the codec to send a content type.

    Raises
    ------
    ContentTypeRefused
        There is no codec for the content type.
    """
    try:
        return CONTENT_TYPES_CODECS[content_type]
    except KeyError:
        raise ContentTypeRefused(
            f"there is no codec for the content type {content_type!r}",
            why=f"known: {', '.join(CONTENT_TYPES_CODECS)}",
            next="add one with register_codec()",
        ) from None
