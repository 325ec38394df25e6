"""Shared fixtures of the tests of calls."""

import botocore.handlers
import pytest


@pytest.fixture(autouse=True)
def _no_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sessions as if moto were not imported: with its handler, boto3 makes every call."""
    own = [spec for spec in botocore.handlers.BUILTIN_HANDLERS if is_botocores(spec[1])]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", own)


def is_botocores(handler: object) -> bool:
    return str(getattr(handler, "__module__", "")).startswith("botocore.")
