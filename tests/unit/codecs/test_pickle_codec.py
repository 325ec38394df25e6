"""Pickle in the format of sqs-workers."""

import base64
import datetime
import pickle
import threading
import zlib

import pytest

from sqsw.codecs.pickle_codec import PickleCodec, PickleCompatCodec
from sqsw.core.errors import MessageRefused

MESSAGE = {"to": {"ann"}, "at": datetime.datetime(2026, 1, 2), "raw": b"\0\xff", "who": "Grüße"}


@pytest.mark.parametrize("codec", [PickleCodec(), PickleCompatCodec()])
def test_a_value_arrives_unchanged(codec: PickleCodec) -> None:
    text = codec.serialize(MESSAGE)
    assert text.isascii()
    assert codec.deserialize(text) == MESSAGE


@pytest.mark.parametrize(
    ("codec", "protocol"),
    [(PickleCodec(), pickle.DEFAULT_PROTOCOL), (PickleCompatCodec(), 2)],
)
def test_the_text_is_base64_of_zlib_of_a_pickle(codec: PickleCodec, protocol: int) -> None:
    pickled = zlib.decompress(base64.urlsafe_b64decode(codec.serialize(MESSAGE)))
    assert pickled[:2] == bytes([0x80, protocol])
    assert pickle.loads(pickled) == MESSAGE


def test_each_codec_reads_the_text_of_the_other() -> None:
    assert PickleCodec().deserialize(PickleCompatCodec().serialize(MESSAGE)) == MESSAGE
    assert PickleCompatCodec().deserialize(PickleCodec().serialize(MESSAGE)) == MESSAGE


def test_an_argument_that_cannot_be_pickled_is_refused_by_name() -> None:
    with pytest.raises(MessageRefused, match="argument 'lock' cannot be pickled"):
        PickleCodec().serialize({"to": "ann", "lock": threading.Lock()})
