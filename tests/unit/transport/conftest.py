"""What the tests of calls have in common."""

import botocore.handlers
import pytest


@pytest.fixture(autouse=True)
def _no_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sessions as if moto was not imported: its handler would send every call to boto3."""
    own = [spec for spec in botocore.handlers.BUILTIN_HANDLERS if is_botocores(spec[1])]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", own)


def is_botocores(handler: object) -> bool:
    return str(getattr(handler, "__module__", "")).startswith("botocore.")
