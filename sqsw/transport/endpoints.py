"""Reject invalid endpoint URLs, with errors that never show a password."""

import os
from urllib.parse import urlsplit

from sqsw.core.errors import BadEndpoint, EndpointReason, SettingsError
from sqsw.core.sendable import is_sendable, no_credentials

_SCHEMES = ("http", "https")
_FOR_EXAMPLE = "use a URL such as http://127.0.0.1:9324"

#: variables that set the endpoint if neither code nor an option does
_VARIABLES = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")


def endpoint_of_environment() -> str | None:
    return next(filter(None, map(os.environ.get, _VARIABLES)), None)


def no_client(error: ValueError, endpoint: str | None) -> SettingsError:
    """Return the error for a client that boto3 cannot create.

    Raises
    ------
    SettingsError
        The endpoint is not a URL.
    """
    reason = str(error)
    address = reason.removeprefix("Invalid endpoint: ")
    if address != reason:
        check_address(address)
        return _not_a_url(address, None, None, _FOR_EXAMPLE)
    if endpoint is not None:
        check_address(endpoint)
    return no_credentials(error)


def check_address(endpoint: str) -> None:
    """Reject an endpoint that is not a URL. The error never shows its user name or password.

    Raises
    ------
    SettingsError
        It has no scheme, an invalid port, or characters that a URL cannot contain.
    """
    scheme, sign, rest = endpoint.partition("://")
    if not is_sendable(endpoint):
        why = "it contains a space, a control character or a non-ASCII character"
        raise _not_a_url(endpoint, "characters", why, _FOR_EXAMPLE)
    if not sign or scheme.lower() not in _SCHEMES:
        why = "it does not start with http:// or https://"
        raise _not_a_url(endpoint, "scheme", why, f"use http://{_host(endpoint)}")
    if set("/?#") & set(rest.rpartition("@")[0]):
        raise _not_a_url(
            endpoint,
            "user_info",
            "a /, ? or # before the @ ends the host name",
            "in the user name and password, write / as %2F, ? as %3F and # as %23",
        )
    try:
        _ = urlsplit(endpoint).port
    except ValueError as error:
        why = "its port is not a number from 0 to 65535"
        raise _not_a_url(endpoint, "port", why, _FOR_EXAMPLE) from error


def _host(endpoint: str) -> str:
    """Return the part after the user name and password, even if the URL is malformed."""
    host = endpoint.rpartition("@")[2]
    return host.rpartition("//")[2] if "@" not in endpoint else host


def _not_a_url(
    endpoint: str, reason: EndpointReason | None, why: str | None, next: str
) -> BadEndpoint:
    shown = _host(endpoint) if "@" in endpoint else endpoint
    source = [f"it comes from {name}" for name in _VARIABLES if os.environ.get(name) == endpoint]
    return BadEndpoint(
        f"the endpoint {shown!r} is not a URL",
        reason=reason,
        url=shown,
        why="; ".join(filter(None, [why, *source[:1]])) or None,
        next=next,
    )
