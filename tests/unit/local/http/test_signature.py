"""Signature Version 4, compared with botocore's signer."""

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sqsw.local import errors
from sqsw.local.http.signature import SignatureCheck, Signed

KEY = Credentials("AKID", "secret")
URL = "http://127.0.0.1:9324/000000000000/q.fifo"
HEADERS = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}


def as_received(request: Any) -> Signed:
    """Return a signed request as the server sees it."""
    url = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers = {
        name: value if isinstance(value, str) else value.decode("latin-1")
        for name, value in headers.items()
    }
    return Signed(
        request.method, url.path, url.query, {"host": url.netloc} | headers, request.body or b""
    )


def signed(
    key: Credentials = KEY,
    url: str = URL,
    body: bytes = b'{"MessageBody": "x"}',
    service: str = "sqs",
    meta: str = "x",
) -> Signed:
    request = AWSRequest("POST", url, headers=HEADERS | {"X-Amz-Meta": meta}, data=body)
    SigV4Auth(key, service, "eu-west-1").add_auth(request)
    return as_received(request.prepare())


def check(request: Signed, *, later: float = 0) -> None:
    signatures = SignatureCheck("AKID", "secret", lambda: time.time() + later)
    claim = signatures.read_claim(request._replace(body=b""))
    signatures.check(request, claim)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "http://localhost:9324/",
        "https://sqs.example.com/a%20b//c/../d/",
        "http://h/?b=2&a=1&a=~%20&c=",
    ],
)
def test_signatures_of_botocore_are_accepted(url: str) -> None:
    check(signed(url=url))
    check(signed(url=url, body=b""))


def test_spaces_in_signed_headers_are_normalized() -> None:
    request = signed(meta="  two   blanks ")
    check(request)


def test_a_wrong_access_key_is_refused() -> None:
    with pytest.raises(errors.InvalidClientTokenId) as caught:
        check(signed(Credentials("OTHER", "secret")))
    assert caught.value.status == 403
    assert caught.value.text == "The security token included in the request is invalid."


def test_a_wrong_secret_key_is_refused() -> None:
    with pytest.raises(errors.SignatureDoesNotMatch, match="The request signature we calculated"):
        check(signed(Credentials("AKID", "other")))


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{}"},
        {"path": "/"},
        {"query": "a=1"},
        {"method": "GET"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_request_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(errors.SignatureDoesNotMatch):
        check(signed()._replace(**change))


def test_a_changed_header_or_parameter_is_refused() -> None:
    request = signed()
    changed = {**request.headers, "x-amz-target": "AmazonSQS.DeleteQueue"}
    with pytest.raises(errors.SignatureDoesNotMatch):
        check(request._replace(headers=changed))


@pytest.mark.parametrize("later", [901, -901])
def test_dates_too_far_in_the_past_or_future_are_refused(later: int) -> None:
    with pytest.raises(errors.RequestExpired):
        check(signed(), later=later)


@pytest.mark.parametrize(
    "change",
    [
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": "AWS4-HMAC-SHA256 nonsense"},
        {"x-amz-date": ""},
        {"x-amz-date": "yesterday"},
    ],
)
def test_an_incomplete_signature_is_refused(change: dict[str, str]) -> None:
    request = signed()
    with pytest.raises(errors.IncompleteSignature):
        check(request._replace(headers={**request.headers, **change}))


def test_a_signature_for_another_service_or_without_the_host_is_refused() -> None:
    with pytest.raises(errors.IncompleteSignature, match="scope"):
        check(signed(service="s3"))
    request = signed()
    without = request.headers["authorization"].replace(";host;", ";")
    with pytest.raises(errors.IncompleteSignature, match="host"):
        check(request._replace(headers={**request.headers, "authorization": without}))


@pytest.mark.parametrize(
    "header", ["x-amz-target", "x-amz-date", "x-amz-meta", "x-amz-security-token"]
)
def test_every_amz_header_must_be_signed(header: str) -> None:
    request = signed()
    headers = {**request.headers, header: request.headers.get(header, "added on the way")}
    names = headers["authorization"].replace(f";{header}", "").replace(f"{header};", "")
    headers = {**headers, "authorization": names}
    with pytest.raises(errors.IncompleteSignature, match=f"'{header}' must be a 'SignedHeader'"):
        check(request._replace(headers=headers))


@pytest.mark.parametrize("header", ["x-amzn-trace-id", "user-agent", "x-forwarded-for"])
def test_headers_added_by_a_proxy_need_no_signature(header: str) -> None:
    request = signed()
    check(request._replace(headers={**request.headers, header: "added on the way"}))


def test_the_date_must_match_the_credential_scope() -> None:
    request = signed()
    other = {"x-amz-date": "20200101T000000Z"}
    with pytest.raises(errors.SignatureDoesNotMatch, match="Credential scope"):
        check(request._replace(headers={**request.headers, **other}))


def test_a_missing_signature_is_refused() -> None:
    with pytest.raises(errors.MissingAuthenticationToken):
        check(Signed("GET", "/", "Action=ListQueues", {"host": "h"}, b""))
