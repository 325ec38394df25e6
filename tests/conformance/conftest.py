"""Fixtures for the rules of SQS."""

import pytest

from tests.backends import Backend, Server
from tests.conformance.by_hand import Http


@pytest.fixture
def http(backend: Backend) -> Http:
    """Return a client for raw HTTP requests to the server of this test."""
    assert isinstance(backend, Server)
    return Http(backend.endpoint_url)
