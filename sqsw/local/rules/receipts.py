"""Receipt handles: the right to one delivery of one message, as an opaque text.

A handle is computed, not stored. It names the message and the delivery, and is signed with a secret
of the queue: so a made-up text, or a handle of another queue or of a deleted one of the same name,
is found out without looking for a message.
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
    """What a receipt handle says."""

    seq: int
    #: the message's receive count at this delivery
    receives: int


def write_receipt(secret: bytes, receipt: Receipt) -> str:
    fields = _FIELDS.pack(*receipt)
    return base64.b64encode(fields + _sign(secret, fields)).decode()


def read_receipt(secret: bytes, handle: str) -> Receipt | None:
    """The receipt behind a handle; None if the queue with this secret did not give it out."""
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
    # SQLite's integers end at 63 bits; no queue gives out more, but the check costs nothing.
    return receipt if receipt.seq < 1 << 63 else None


def _sign(secret: bytes, fields: bytes) -> bytes:
    return hashlib.blake2b(fields, key=secret, digest_size=_SIGNATURE_BYTES).digest()
