"""Shared fixtures."""

from collections.abc import Iterator

import botocore.handlers
import pytest


@pytest.fixture(autouse=True, scope="module")
def _no_moto() -> Iterator[None]:
    """Hide moto's handler from new sessions; with it, boto3 would make every call."""
    own = [spec for spec in botocore.handlers.BUILTIN_HANDLERS if is_botocores(spec[1])]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", own)
        yield


def is_botocores(handler: object) -> bool:
    return str(getattr(handler, "__module__", "")).startswith("botocore.")
