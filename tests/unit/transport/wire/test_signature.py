"""The signature equals botocore's, request by request."""

import json
import random
import string
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sqsw.core.calls import DIRECT_ACTIONS
from sqsw.transport.wire.signature import Signer, SigningCredentials

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
    signer = botocore.auth.SigV4Auth(Credentials(*credentials), "sqs", region)
    with mock.patch("botocore.auth.get_current_datetime", return_value=at):
        signer.add_auth(request)
    return str(request.headers["Authorization"])


def test_every_header_is_signed_as_botocore_signs_it() -> None:
    chosen = random.Random(4)

    def word() -> str:
        return "".join(chosen.choices(_LETTERS, k=chosen.randrange(1, 60)))

    for _ in range(2500):
        region = chosen.choice(_REGIONS)
        signer = Signer(chosen.choice(_HOSTS), region)
        credentials = SigningCredentials(word(), word(), chosen.choice([None, word()]))
        # Twice on one day, for which the key is kept, or on two days.
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


def test_the_example_that_aws_published() -> None:
    """The signing key of AWS's documentation, for its secret key, date, region and service.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    with mock.patch("sqsw.transport.wire.signature._SERVICE", "iam"):
        key = Signer("iam.amazonaws.com", "us-east-1")._signing_key(
            "20120215",
            SigningCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
        )
    assert key.hex() == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"


def test_no_credential_is_in_a_repr() -> None:
    signer = Signer("localhost", "eu-west-1")
    credentials = SigningCredentials("my-id", "my-secret", "my-token")
    signer.headers("SendMessage", json.dumps({}).encode(), credentials)

    shown: list[Any] = [credentials, signer, {"credentials": credentials}]
    assert not any(word in repr(shown) for word in ("my-id", "my-secret", "my-token"))
