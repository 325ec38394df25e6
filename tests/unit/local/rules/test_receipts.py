"""Receipt handles cannot be forged, and each delivery has its own."""

import base64

import pytest

from sqsw.local.rules.receipts import Receipt, read_receipt, write_receipt

SECRET = b"s" * 32


def test_a_handle_is_read_as_written() -> None:
    receipt = Receipt(seq=1 << 60, receives=3)
    assert read_receipt(SECRET, write_receipt(SECRET, receipt)) == receipt


def test_each_delivery_has_its_own_handle() -> None:
    handles = {write_receipt(SECRET, Receipt(7, receives)) for receives in range(5)}
    assert len(handles) == 5
    assert all(len(handle) == 80 for handle in handles)


def test_a_handle_of_another_queue_is_refused() -> None:
    handle = write_receipt(SECRET, Receipt(7, 1))
    assert read_receipt(b"t" * 32, handle) is None


@pytest.mark.parametrize("text", ["", "nonsense", "ü", "A" * 80, "=" * 80, "\ud800", "x" * 10_000])
def test_other_text_is_refused(text: str) -> None:
    assert read_receipt(SECRET, text) is None


def test_a_changed_handle_is_refused() -> None:
    data = bytearray(base64.b64decode(write_receipt(SECRET, Receipt(7, 1))))
    data[0] ^= 1
    assert read_receipt(SECRET, base64.b64encode(data).decode()) is None
