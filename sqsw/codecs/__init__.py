"""Codecs for job arguments. Also exports the names of sqs-workers' ``codecs`` module."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsw.codecs.base import Codec as Codec
    from sqsw.codecs.json_codec import JSONCodec as JSONCodec
    from sqsw.codecs.pickle_codec import PickleCodec as PickleCodec
    from sqsw.codecs.pickle_codec import PickleCompatCodec as PickleCompatCodec
    from sqsw.codecs.table import CONTENT_TYPES_CODECS as CONTENT_TYPES_CODECS
    from sqsw.codecs.table import DEFAULT_CONTENT_TYPE as DEFAULT_CONTENT_TYPE
    from sqsw.codecs.table import get_codec as get_codec
    from sqsw.codecs.table import register_codec as register_codec
else:
    from sqsw.core.lazy_face import lazy_face

    _HOMES = {
        "CONTENT_TYPES_CODECS": "sqsw.codecs.table",
        "Codec": "sqsw.codecs.base",
        "DEFAULT_CONTENT_TYPE": "sqsw.codecs.table",
        "JSONCodec": "sqsw.codecs.json_codec",
        "PickleCodec": "sqsw.codecs.pickle_codec",
        "PickleCompatCodec": "sqsw.codecs.pickle_codec",
        "get_codec": "sqsw.codecs.table",
        "register_codec": "sqsw.codecs.table",
    }

    __getattr__ = lazy_face(__name__, _HOMES)
