"""Verification of AWS Signature Version 4, with a single accepted key.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote

from sqsw.local.errors import (
    IncompleteSignature,
    InvalidClientTokenId,
    MissingAuthenticationToken,
    RequestExpired,
    SignatureDoesNotMatch,
)
from sqsw.local.store.clock import Clock

#: the most seconds that the clocks of client and server can differ
MAX_SKEW_SECONDS: Final = 900

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "sqs"
_DATE_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


class Signed(NamedTuple):
    """The signed parts of a request, and its signature in the headers."""

    method: str
    #: as it was sent, still percent-encoded
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Claim(NamedTuple):
    credential: str
    signed_headers: str
    signature: str
    date: str


class SignatureCheck:
    """Verifies that requests are signed with one key.

    There are two steps. :meth:`read_claim` does not need the body, so the body of a request without
    a usable signature is never read.
    """

    def __init__(self, access_key: str, secret_key: str, clock: Clock) -> None:
        self._access_key, self._secret_key, self._clock = access_key, secret_key, clock

    def read_claim(self, request: Signed) -> Claim:
        """Return the signature of a request, after all checks that do not need the body.

        Raises
        ------
        ServiceError
            The signature is missing or incomplete, has another key, or is too old.
        """
        claim = _claim_of(request.headers)
        access_key, _, scope = claim.credential.partition("/")
        parts = scope.split("/")
        if len(parts) != 4 or (parts[2], parts[3]) != (_SERVICE, "aws4_request"):
            raise IncompleteSignature(f"Credential must have the scope of {_SERVICE}/aws4_request.")
        if not hmac.compare_digest(access_key.encode(), self._access_key.encode()):
            raise InvalidClientTokenId
        self._check_time(claim, parts[0])
        return claim

    def check(self, request: Signed, claim: Claim) -> None:
        """Verify the signature of a complete request.

        Raises
        ------
        SignatureDoesNotMatch
            The request was signed with another secret key, or changed on the way.
        """
        if not hmac.compare_digest(
            self._signature(request, claim).encode(), claim.signature.encode()
        ):
            raise SignatureDoesNotMatch

    def _check_time(self, claim: Claim, scope_date: str) -> None:
        try:
            signed_at = datetime.strptime(claim.date, _DATE_FORMAT).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise IncompleteSignature("Date must be in ISO-8601 'basic format'.") from None
        if scope_date != claim.date[:8]:
            raise SignatureDoesNotMatch("Date in Credential scope does not match the request date.")
        now = self._clock()
        now_text = datetime.fromtimestamp(now, UTC).strftime(_DATE_FORMAT)
        if now > signed_at + MAX_SKEW_SECONDS:
            raise RequestExpired(
                f"Signature expired: {claim.date} + {MAX_SKEW_SECONDS} s is now earlier than"
                f" {now_text}"
            )
        if now < signed_at - MAX_SKEW_SECONDS:
            raise RequestExpired(
                f"Signature not yet current: {claim.date} is still later than {now_text}"
                f" + {MAX_SKEW_SECONDS} s"
            )

    def _signature(self, request: Signed, claim: Claim) -> str:
        pairs = parse_qsl(request.query, keep_blank_values=True) if request.query else []
        scope = claim.credential.partition("/")[2]
        canonical = "\n".join(
            (
                request.method,
                _canonical_path(request.path),
                _canonical_query(pairs),
                *_canonical_headers(request.headers, claim.signed_headers),
                "",
                claim.signed_headers,
                hashlib.sha256(request.body).hexdigest(),
            )
        )
        # Headers were decoded as Latin-1, so this restores their bytes; the rest is ASCII.
        digest = hashlib.sha256(canonical.encode("latin-1", "replace")).hexdigest()
        text = f"{_ALGORITHM}\n{claim.date}\n{scope}\n{digest}"
        key = b"AWS4" + self._secret_key.encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()


def _claim_of(headers: Mapping[str, str]) -> Claim:
    authorization = headers.get("authorization")
    if not authorization:
        raise MissingAuthenticationToken
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != _ALGORITHM:
        raise IncompleteSignature(f"Authorization must use the algorithm {_ALGORITHM}.")
    parts = dict(_PART.findall(rest))
    claim = Claim(
        parts.get("Credential", ""),
        parts.get("SignedHeaders", ""),
        parts.get("Signature", ""),
        headers.get("x-amz-date", ""),
    )
    missing = [name for name, value in zip(claim._fields, claim, strict=True) if value == ""]
    if missing:
        raise IncompleteSignature(
            f"The signature is incomplete: {', '.join(missing)} missing [{_ALGORITHM}]."
        )
    signed = set(claim.signed_headers.split(";"))
    must_be_signed = ("host", *(name for name in headers if name.startswith("x-amz-")))
    for name in must_be_signed:
        if name not in signed:
            raise IncompleteSignature(
                f"'{name}' must be a 'SignedHeader' in the AWS Authorization [{_ALGORITHM}]."
            )
    return claim


def _canonical_path(path: str) -> str:
    """Normalize dots and double slashes, and encode the path again; only S3 skips this."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    normal = "/" + "/".join(parts) + ("/" if parts and path.endswith("/") else "")
    return quote(normal, safe="/~")


def _canonical_query(pairs: list[tuple[str, str]]) -> str:
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _canonical_headers(headers: Mapping[str, str], names: str) -> list[str]:
    return [f"{name}:{' '.join(headers.get(name, '').split())}" for name in names.split(";")]
