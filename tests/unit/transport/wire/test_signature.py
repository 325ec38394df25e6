"""Signatures are the same as botocore's and those in AWS's published examples."""

import json
import random
import string
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sqsw.core.calls import DIRECT_ACTIONS
from sqsw.transport.client import ClientSource
from sqsw.transport.wire.signature import Signer, SigningCredentials
from tests.life.serving import serving

_LETTERS = string.ascii_letters + string.digits + "+/="
_HOSTS = ("sqs.eu-west-1.amazonaws.com", "localhost:9324", "[::1]:8000")
_REGIONS = ("eu-west-1", "us-gov-east-1", "local")


def headers_of(text: str) -> dict[str, str]:
    lines = text.split("\r\n")
    assert lines.pop() == ""
    return dict(line.split(":", 1) for line in lines)


def signed_by_botocore(
    headers: dict[str, str], body: bytes, credentials: SigningCredentials, region: str, at: datetime
) -> str:
    kept = {
        name: value
        for name, value in headers.items()
        if name not in ("authorization", "content-length", "x-amz-date", "x-amz-security-token")
    }
    request = AWSRequest("POST", f"https://{headers['host']}/", kept, body)
    signer: Any = botocore.auth.SigV4Auth(Credentials(*credentials), "sqs", region)
    # These are the steps of add_auth(), which gets the time differently in each version.
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    return str(request.headers["Authorization"])


def test_every_header_is_signed_as_botocore_signs_it() -> None:
    chosen = random.Random(4)

    def word() -> str:
        return "".join(chosen.choices(_LETTERS, k=chosen.randrange(1, 60)))

    for _ in range(2500):
        region = chosen.choice(_REGIONS)
        signer = Signer(chosen.choice(_HOSTS), region)
        credentials = SigningCredentials(word(), word(), chosen.choice([None, word()]))
        # Two times on the same day, for which the key is cached, or on two days.
        at = datetime.fromtimestamp(chosen.randrange(1_600_000_000, 4_000_000_000), UTC)
        for moment in (at, at + timedelta(hours=chosen.randrange(30))):
            action = chosen.choice(sorted(DIRECT_ACTIONS))
            body = chosen.randbytes(chosen.randrange(300))
            headers = headers_of(signer.headers(action, body, credentials, moment))

            expected = signed_by_botocore(headers, body, credentials, region, moment)
            assert headers["authorization"] == expected


def test_new_credentials_are_used_at_once() -> None:
    signer, at = Signer("localhost", "eu-west-1"), datetime(2026, 1, 1, tzinfo=UTC)
    seen = set()
    for secret, token in (("one", None), ("two", None), ("two", "t"), ("one", None)):
        credentials = SigningCredentials("id", secret, token)
        headers = headers_of(signer.headers("SendMessage", b"{}", credentials, at))
        expected = signed_by_botocore(headers, b"{}", credentials, "eu-west-1", at)
        assert headers["authorization"] == expected
        seen.add(expected)
    assert len(seen) == 3


EXAMPLE = SigningCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)


@pytest.mark.parametrize(
    ("day", "key"),
    [
        ("20120215", "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"),
        ("20150830", "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"),
    ],
)
def test_signing_keys_match_the_examples_of_aws(day: str, key: str) -> None:
    """The examples from AWS's documentation: a key for a secret, a day, a region and a service.

    Sources: https://docs.aws.amazon.com/general/latest/gr/signature-v4-examples.html and
    https://docs.aws.amazon.com/general/latest/gr/sigv4-calculate-signature.html. AWS has
    replaced both with a page without values; see the link in the module.
    """
    with mock.patch("sqsw.transport.wire.signature._SERVICE", "iam"):
        signer = Signer("iam.amazonaws.com", "us-east-1")
        assert signer._signing_key(day, EXAMPLE).hex() == key


TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPf"
    "IeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ"
    "0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDr"
    "ypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


@pytest.mark.parametrize(
    ("headers", "body", "signature"),
    [
        pytest.param(
            {},
            b"",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="post-vanilla",
        ),
        pytest.param(
            {"content-type": "application/x-www-form-urlencoded"},
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
        pytest.param(
            {"x-amz-security-token": TOKEN},
            b"",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            id="post-sts-header-before",
        ),
    ],
)
def test_signatures_match_the_test_suite_of_aws(
    headers: dict[str, str], body: bytes, signature: str
) -> None:
    """The POST requests to "/" in AWS's test suite for Signature Version 4.

    Our canonical requests have different headers, so this test builds those of the suite. Source:
    https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html, which AWS has
    withdrawn; most SDKs have copies of the suite in their tests.
    """
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"} | headers
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    names = ";".join(sorted(headers))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    with mock.patch("sqsw.transport.wire.signature._SERVICE", "service"):
        signer = Signer("example.amazonaws.com", "us-east-1")
        found = signer._authorization(canonical, names, "20150830T123600Z", EXAMPLE)
    assert found == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


@pytest.mark.parametrize("token", [None, "a/token+="])
def test_a_server_that_checks_signatures_accepts_ours(token: str | None, tmp_path: Path) -> None:
    key, secret = "AKID", "se/cr+et="
    variables = {"SQSW_SERVE_ACCESS_KEY": key, "SQSW_SERVE_SECRET_KEY": secret}
    session = boto3.session.Session(key, secret, token, region_name="local")
    with serving("--memory", cwd=tmp_path, env=variables) as server:
        clients = ClientSource(session, endpoint_url=server.url)
        url = clients.client.create_queue(QueueName="jobs")["QueueUrl"]
        answer = clients.call("SendMessage", {"QueueUrl": url, "MessageBody": "signed: é"})
    assert answer["MessageId"]
    assert "ResponseMetadata" not in answer  # boto3 would have added it, so this call used the wire


def test_a_repr_does_not_show_credentials() -> None:
    signer = Signer("localhost", "eu-west-1")
    credentials = SigningCredentials("my-id", "my-secret", "my-token")
    signer.headers("SendMessage", json.dumps({}).encode(), credentials)

    shown: list[Any] = [credentials, signer, {"credentials": credentials}]
    assert not any(word in repr(shown) for word in ("my-id", "my-secret", "my-token"))
