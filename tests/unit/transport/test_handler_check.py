"""Whether somebody watches botocore's calls is noticed before each call."""

from collections.abc import Callable
from typing import Any

import boto3.session
import botocore.client
import botocore.endpoint
import botocore.httpsession
import botocore.session
import pytest
from botocore.stub import Stubber

from sqsw.transport.handler_check import HandlerCheck


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def checked(session: Any) -> HandlerCheck:
    """A check that has passed before."""
    check = HandlerCheck()
    check.add(session.get_component("event_emitter"))
    assert check.reason is None and check.reason is None
    return check


def ignore(**_: object) -> None:
    """A handler of somebody else."""


@pytest.mark.parametrize(
    "event",
    ["before-send.sqs", "before-call", "request-created.sqs.ReceiveMessage", "after-call.*"],
)
@pytest.mark.parametrize("of_client", [False, True], ids=["session", "client"])
def test_a_handler_that_is_registered_later_is_noticed(event: str, of_client: bool) -> None:
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


def test_handlers_of_other_services_are_not_minded() -> None:
    session = botocore.session.Session()
    check = checked(session)
    session.register("before-send.s3", ignore)
    assert check.reason is None


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (botocore.client.BaseClient, "_make_api_call"),
        (botocore.client.BaseClient, "__init__"),
        (botocore.client.ClientCreator, "_create_api_method"),
        (botocore.endpoint.Endpoint, "make_request"),
        (botocore.endpoint.Endpoint, "prepare_request"),
        (botocore.endpoint.Endpoint, "_send_request"),
        (botocore.httpsession.URLLib3Session, "send"),
        (boto3.session.Session, "client"),
    ],
)
def test_a_wrapper_around_botocore_is_noticed(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = checked(botocore.session.Session())
    original: Callable[..., Any] = getattr(owner, name)

    def wrapper(*args: Any, **keywords: Any) -> Any:
        return original(*args, **keywords)

    monkeypatch.setattr(owner, name, wrapper)
    assert check.reason is not None
    monkeypatch.undo()
    assert check.reason is None


def test_a_stubber_is_noticed() -> None:
    session = botocore.session.Session()
    check = checked(session)
    client = session.create_client("sqs")
    check.add(client.meta.events)
    with Stubber(client):
        assert check.reason is not None
    assert check.reason is None


def test_other_internals_of_botocore_are_noticed() -> None:
    check = HandlerCheck()
    check.add(object())
    assert check.reason is not None
