"""Sign SQS calls with AWS Signature Version 4.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
import time
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

_SERVICE = "sqs"
_CONTENT_TYPE = "application/x-amz-json-1.0"


class SigningCredentials(NamedTuple):
    """Credentials in the form of botocore's ``get_frozen_credentials()``."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return "SigningCredentials(...)"


class Signer:
    """A signer of requests to one endpoint.

    It caches the signing key, which depends on the day, the region and the credentials.

    Parameters
    ----------
    host :
        The value of the ``Host`` header, with the port if it is not the default.
    region :
        The region in the signature.
    """

    def __init__(self, host: str, region: str) -> None:
        self._host = host
        self._region = region
        # One tuple, so a thread never combines a new day or new credentials with an old key.
        self._kept: tuple[str, SigningCredentials, hmac.HMAC] | None = None

    def headers(
        self,
        action: str,
        body: bytes,
        credentials: SigningCredentials,
        now: datetime | None = None,
    ) -> str:
        """Return the header lines of a request, with line endings.

        Parameters
        ----------
        action :
            The SQS action, such as ``ReceiveMessage``.
        body :
            The body as sent.
        credentials :
            The credentials to sign with.
        now :
            The time of the signature. Default: the current time.
        """
        lines = (
            f"host:{self._host}\n",
            f"x-amz-target:AmazonSQS.{action}\n",
            "x-amzn-query-mode:true\n",
        )
        # datetime.strftime() takes twice as long.
        moment = time.gmtime() if now is None else now.utctimetuple()
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", moment)
        host, target, query_mode = lines
        token_line, token_name = "", ""
        if credentials.token:
            token_line = f"x-amz-security-token:{credentials.token}\n"
            token_name = "x-amz-security-token;"
        signed = f"content-type;host;x-amz-date;{token_name}x-amz-target;x-amzn-query-mode"
        canonical = (
            f"POST\n/\n\ncontent-type:{_CONTENT_TYPE}\n{host}x-amz-date:{timestamp}\n"
            f"{token_line}{target}{query_mode}\n{signed}\n{sha256(body).hexdigest()}"
        )
        authorization = self._authorization(canonical, signed, timestamp, credentials)
        return _as_headers(
            (*lines, f"x-amz-date:{timestamp}\n", token_line, f"authorization:{authorization}\n"),
            body,
        )

    def _authorization(
        self, canonical: str, signed: str, timestamp: str, credentials: SigningCredentials
    ) -> str:
        day = timestamp[:8]
        scope = f"{day}/{self._region}/{_SERVICE}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = self._keyed_hash(day, credentials)
        signature.update(text.encode())
        return (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature.hexdigest()}"
        )

    def _keyed_hash(self, day: str, credentials: SigningCredentials) -> hmac.HMAC:
        kept = self._kept
        if kept is not None and kept[0] == day and kept[1] == credentials:
            return kept[2].copy()
        # Copying a keyed hash is faster than creating one, and hmac.digest() would release the GIL.
        made = hmac.new(self._signing_key(day, credentials), digestmod="sha256")
        self._kept = day, credentials, made
        return made.copy()

    def _signing_key(self, day: str, credentials: SigningCredentials) -> bytes:
        key = f"AWS4{credentials.secret_key}".encode()
        for part in (day, self._region, _SERVICE, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


def _as_headers(lines: tuple[str, ...], body: bytes) -> str:
    length = f"content-length:{len(body)}\n"
    return "".join((*lines, f"content-type:{_CONTENT_TYPE}\n", length)).replace("\n", "\r\n")
