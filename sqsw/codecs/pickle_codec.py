"""Pickle, as sqs-workers writes it: pickled, compressed by zlib, then URL-safe base64.

Whoever can send a message that a worker unpickles can run code in that worker. So both codecs are
used for sending only where they are asked for, and for receiving only where ``accept=`` lists them.
"""

import base64
import pickle
import zlib
from typing import Any, ClassVar

from sqsw.core.errors import MessageRefused
from sqsw.core.wording import text_of


class PickleCodec:
    """Pickle in the protocol that this interpreter prefers.

    The methods can be called on the class as well.
    """

    protocol: ClassVar[int] = pickle.DEFAULT_PROTOCOL

    @classmethod
    def serialize(cls, message: dict[str, Any]) -> str:
        """Return the text of a dictionary.

        Raises
        ------
        MessageRefused
            A value cannot be pickled; the error names the argument.
        """
        try:
            pickled = pickle.dumps(message, protocol=cls.protocol)
        except Exception as error:
            raise MessageRefused(
                f"argument {cls._culprit(message)!r} cannot be pickled", why=text_of(error)
            ) from error
        return base64.urlsafe_b64encode(zlib.compress(pickled)).decode("ascii")

    @staticmethod
    def deserialize(serialized: str) -> Any:
        """Return the value of a text. Only for senders that are allowed to run code here."""
        compressed = base64.urlsafe_b64decode(serialized.encode("ascii"))
        return pickle.loads(zlib.decompress(compressed))  # noqa: S301 - asked for by accept=

    @classmethod
    def _culprit(cls, message: dict[str, Any]) -> str:
        for name, value in message.items():
            try:
                pickle.dumps(value, protocol=cls.protocol)
            except Exception:  # noqa: BLE001 - pickle raises whatever the value raises
                return name
        return "?"


class PickleCompatCodec(PickleCodec):
    """Pickle in protocol 2: the default of sqs-workers."""

    protocol: ClassVar[int] = 2
