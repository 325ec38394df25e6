"""Content type to codec, and which content types a queue accepts."""

from collections.abc import Collection

from sqsw.codecs.base import Codec
from sqsw.codecs.json_codec import JSONCodec
from sqsw.codecs.pickle_codec import PickleCodec, PickleCompatCodec
from sqsw.core.errors import ContentTypeRefused, SettingsError

#: what a job is sent as, where nobody says otherwise
DEFAULT_CONTENT_TYPE = "json"

#: all content types that can be sent
CONTENT_TYPES_CODECS: dict[str, Codec] = {
    "json": JSONCodec(),
    "pickle": PickleCodec(),
    "pickle_compat": PickleCompatCodec(),
}


def register_codec(content_type: str, codec: Codec) -> None:
    """Add a codec of the application's own.

    Queues without an ``accept=`` of their own accept it from then on.

    Raises
    ------
    SettingsError
        The content type is taken.
    """
    if CONTENT_TYPES_CODECS.get(content_type, codec) is not codec:
        raise SettingsError(f"there is a codec for {content_type!r} already")
    CONTENT_TYPES_CODECS[content_type] = codec


def accepted_by_default() -> list[str]:
    """The content types that a queue accepts where nobody lists them: all but pickle.

    To read pickle is to run what the sender wrote, under whatever name it was registered.
    """
    return [
        name for name, codec in CONTENT_TYPES_CODECS.items() if not isinstance(codec, PickleCodec)
    ]


def check_accept(accept: Collection[str] | None) -> None:
    """Refuse what is no list of content types.

    Raises
    ------
    SettingsError
        It is one text: ``in`` would then look for parts of it.
    """
    if isinstance(accept, str):
        raise SettingsError(
            f"accept is {accept!r}, it must be a list of content types",
            next=f"accept=[{accept!r}]",
        )


def get_codec(content_type: str, accept: Collection[str] | None = None) -> Codec:
    """The codec of a content type.

    Parameters
    ----------
    accept :
        When reading: the content types that may be read; None for all but pickle.
        When writing, see ``codec_for_sending``.

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
            next=f"if all who can send to this queue are trusted: accept=[{listed}]"
            if codec is not None
            else "register a codec for it, or look who sends such messages",
        )
    return codec or codec_for_sending(content_type)


def codec_for_sending(content_type: str) -> Codec:
    """The codec of a content type that the sender chose.

    Raises
    ------
    ContentTypeRefused
        There is no such codec.
    """
    try:
        return CONTENT_TYPES_CODECS[content_type]
    except KeyError:
        raise ContentTypeRefused(
            f"there is no codec for the content type {content_type!r}",
            why=f"known: {', '.join(CONTENT_TYPES_CODECS)}",
            next="register_codec() adds one",
        ) from None
