"""Receipt handles: opaque strings that identify one delivery of one message.

A handle is computed, not stored. It contains the message and the delivery, and is signed with a
secret of the queue. So a forged handle, or one from another queue or from a deleted queue with the
same name, is detected without a query.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from typing import NamedTuple

_FIELDS = struct.Struct(">QI")
_SIGNATURE_BYTES = 48


class Receipt(NamedTuple):
    """The contents of a receipt handle."""

    seq: int
    #: the message's receive count at this delivery
    receives: int


def write_receipt(secret: bytes, receipt: Receipt) -> str:
    fields = _FIELDS.pack(*receipt)
    return base64.b64encode(fields + _sign(secret, fields)).decode()


def read_receipt(secret: bytes, handle: str) -> Receipt | None:
    """Return the contents of a handle; None if it is not from the queue with this secret."""
    try:
        data = base64.b64decode(handle, validate=True)
    except (ValueError, binascii.Error):
        return None
    if len(data) != _FIELDS.size + _SIGNATURE_BYTES:
        return None
    fields, signature = data[: _FIELDS.size], data[_FIELDS.size :]
    if not hmac.compare_digest(signature, _sign(secret, fields)):
        return None
    receipt = Receipt(*_FIELDS.unpack(fields))
    # SQLite's integers have 63 bits. No queue issues larger numbers, but the check costs nothing.
    return receipt if receipt.seq < 1 << 63 else None


def _sign(secret: bytes, fields: bytes) -> bytes:
    return hashlib.blake2b(fields, key=secret, digest_size=_SIGNATURE_BYTES).digest()
