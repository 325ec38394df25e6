"""Code that watches botocore's calls is detected before each call."""

import http.client
from collections.abc import Callable
from typing import Any
from unittest import mock

import boto3.session
import botocore.auth
import botocore.awsrequest
import botocore.client
import botocore.endpoint
import botocore.httpsession
import botocore.parsers
import botocore.session
import pytest
import urllib3
from botocore.stub import Stubber

from sqsw.transport.handler_check import HandlerCheck


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def checked(session: Any) -> HandlerCheck:
    """Return a check that has run twice and found nothing."""
    check = HandlerCheck()
    check.add(session.get_component("event_emitter"))
    assert check.reason is None and check.reason is None
    return check


def ignore(**_: object) -> None:
    """A handler of another package."""


@pytest.mark.parametrize(
    "event",
    ["before-send.sqs", "before-call", "request-created.sqs.ReceiveMessage", "after-call.*"],
)
@pytest.mark.parametrize("of_client", [False, True], ids=["session", "client"])
def test_a_handler_registered_later_is_detected(event: str, of_client: bool) -> None:
    session = botocore.session.Session()
    check = checked(session)
    target: Any = session
    if of_client:
        client = session.create_client("sqs")
        check.add(client.meta.events)
        assert check.reason is None
        target = client.meta.events
    target.register(event, ignore)
    assert check.reason is not None

    target.unregister(event, ignore)
    assert check.reason is None


def test_handlers_of_other_services_are_ignored() -> None:
    session = botocore.session.Session()
    check = checked(session)
    session.register("before-send.s3", ignore)
    assert check.reason is None


#: Parts that tracers and mocks replace. Datadog, Elastic APM, OpenTelemetry and the X-Ray SDK:
#: ``_make_api_call``; the last two also ``prepare_request``, Datadog also ``parse``. Sentry:
#: ``__init__`` of clients and both methods of ``HTTPConnection``. New Relic: ``make_request``,
#: ``_create_api_method``, ``_create_methods`` and ``_emit_api_params``. Tracers of urllib3, and
#: pook: ``urlopen``. localstack-client: ``Session.client``. moto's server mode: ``boto3.client``.
PARTS: list[tuple[Any, str]] = [
    (botocore.session.Session, "create_client"),
    (botocore.client.BaseClient, "_make_api_call"),
    (botocore.client.BaseClient, "_emit_api_params"),
    (botocore.client.BaseClient, "__init__"),
    (botocore.client.ClientCreator, "_create_api_method"),
    (botocore.client.ClientCreator, "_create_methods"),
    (botocore.endpoint.Endpoint, "make_request"),
    (botocore.endpoint.Endpoint, "prepare_request"),
    (botocore.endpoint.Endpoint, "_send_request"),
    (botocore.auth.SigV4Auth, "add_auth"),
    (botocore.parsers.ResponseParser, "parse"),
    (botocore.httpsession.URLLib3Session, "send"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    (http.client.HTTPConnection, "putrequest"),
    (http.client.HTTPConnection, "getresponse"),
    (boto3.session.Session, "client"),
    (boto3, "client"),
]


@pytest.mark.parametrize(("owner", "name"), PARTS)
def test_a_wrapper_around_botocore_is_detected(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = checked(botocore.session.Session())
    original: Callable[..., Any] = getattr(owner, name)

    def wrapper(*args: Any, **keywords: Any) -> Any:
        return original(*args, **keywords)

    monkeypatch.setattr(owner, name, wrapper)
    assert check.reason == f"{owner.__name__}.{name} is replaced or wrapped"
    monkeypatch.undo()
    assert check.reason is None


@pytest.mark.parametrize(("owner", "name"), PARTS)
def test_a_wrapper_that_looks_like_the_original_is_detected(owner: Any, name: str) -> None:
    """Most tracers use wrapt, whose wrappers look like functions of botocore."""
    wrapt = pytest.importorskip("wrapt")
    check = checked(botocore.session.Session())
    original = vars(owner)[name]
    wrapt.wrap_function_wrapper(
        owner, name, lambda call, _, args, keywords: call(*args, **keywords)
    )
    try:
        assert check.reason is not None
    finally:
        setattr(owner, name, original)
    assert check.reason is None


@pytest.mark.parametrize("scheme", ["HTTP", "HTTPS"])
def test_a_recorder_of_connections_is_detected(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = checked(botocore.session.Session())
    pool: Any = getattr(botocore.awsrequest, f"AWS{scheme}ConnectionPool")

    monkeypatch.setattr(pool, "ConnectionCls", type("Recorder", (pool.ConnectionCls,), {}))
    assert check.reason is not None
    monkeypatch.undo()
    assert check.reason is None


def test_mocks_from_unittest_are_detected() -> None:
    check = checked(botocore.session.Session())
    for target in ("botocore.client.BaseClient._make_api_call", "boto3.session.Session"):
        with mock.patch(target):
            assert check.reason is not None
        assert check.reason is None


def test_a_stubber_is_detected() -> None:
    session = botocore.session.Session()
    check = checked(session)
    client = session.create_client("sqs")
    check.add(client.meta.events)
    with Stubber(client):
        assert check.reason is not None
    assert check.reason is None


def test_a_botocore_with_other_internals_is_detected() -> None:
    check = HandlerCheck()
    check.add(object())
    assert check.reason is not None
