"""The pickle codecs of sqs-workers: pickle, then zlib, then URL-safe base64.

Unpickling a message can run code of its sender. So pickle is sent only on request, and received
only if ``accept=`` lists it.
"""

import base64
import pickle
import zlib
from typing import Any, ClassVar

from sqsw.core.errors import MessageRefused
from sqsw.core.wording import text_of


class PickleCodec:
    """A codec with the default pickle protocol of this interpreter.

    The methods can also be called on the class.
    """

    protocol: ClassVar[int] = pickle.DEFAULT_PROTOCOL

    @classmethod
    def serialize(cls, message: dict[str, Any]) -> str:
        """Return a dictionary as text.

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
        """Return the value of a text. Use it only for trusted senders: the text can run code."""
        compressed = base64.urlsafe_b64decode(serialized.encode("ascii"))
        return pickle.loads(zlib.decompress(compressed))  # noqa: S301 - requested by accept=

    @classmethod
    def _culprit(cls, message: dict[str, Any]) -> str:
        for name, value in message.items():
            try:
                pickle.dumps(value, protocol=cls.protocol)
            except Exception:  # noqa: BLE001 - pickling can raise anything
                return name
        return "?"


class PickleCompatCodec(PickleCodec):
    """A codec with pickle protocol 2, the default of sqs-workers."""

    protocol: ClassVar[int] = 2
