"""Fixtures of the rules of SQS."""

import pytest

from tests.backends import Backend, Server
from tests.conformance.by_hand import Http


@pytest.fixture
def http(backend: Backend) -> Http:
    """The server of this test, to be called by hand."""
    assert isinstance(backend, Server)
    return Http(backend.endpoint_url)
