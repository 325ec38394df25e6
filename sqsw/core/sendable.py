"""Refuses settings that a request cannot carry, with their names and without their values.

The HTTP client quotes a header that it refuses, with the credential in it, and botocore treats
that as a network error.
"""

import os
from typing import Any

from sqsw.core.errors import SettingsError
from sqsw.core.wording import keep_secret, text_of, without_credentials

#: variables of boto3 with values that it sends or connects to
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    *(name for proxy in ("HTTP_PROXY", "HTTPS_PROXY") for name in (proxy, proxy.lower())),
)

#: the variables of the values that are secret
_SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)

#: the parts of credentials: their attributes in boto3, in variables, and in profiles
_PARTS = (
    ("access_key", "AWS_ACCESS_KEY_ID", "aws_access_key_id"),
    ("secret_key", "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
    ("token", "AWS_SESSION_TOKEN", "aws_session_token"),
)

#: boto3's names for the sources of credentials in a profile
_PROFILES = ("shared-credentials-file", "config-file")

_FAULT = "it has a line end, a space or another character that HTTP cannot carry"
_NEXT = "remove line ends, spaces and other special characters from it"


def is_sendable(value: str) -> bool:
    """Return whether a header, or an address, can hold this text: printable ASCII, no blanks."""
    return value.isascii() and value.isprintable() and " " not in value


def keep_secret_variables() -> None:
    """Mask the credentials in the environment variables, even if they are not used."""
    keep_secret(*map(os.environ.get, _SECRET_VARIABLES))


def check_credentials(frozen: Any, method: str, profile: str | None) -> None:
    """Refuse credentials that cannot be sent, and mask the others in all later output.

    Parameters
    ----------
    frozen :
        The credentials of botocore, as they are now.
    method, profile :
        Where botocore found them, in its words, and the AWS profile in use.

    Raises
    ------
    SettingsError
        A part has a character that no header can carry.
    """
    keep_secret(frozen.secret_key, frozen.token)
    for attribute, variable, key in _PARTS:
        name = _name(variable, key, method, profile)
        check_credential(name, getattr(frozen, attribute), is_sent=attribute != "secret_key")


def check_credential(name: str, value: str | None, *, is_sent: bool = True) -> None:
    """Refuse one part of credentials.

    Parameters
    ----------
    is_sent :
        False for a secret key: it signs requests, so it can be any text.

    Raises
    ------
    SettingsError
        It has a character that no header can carry.
    """
    value = value or ""
    is_text = value.isprintable() and value == value.strip()
    if not (is_sendable(value) if is_sent else is_text):
        raise SettingsError(
            f"{name} cannot be used",
            why=_FAULT,
            next=_NEXT,
            code="UnsendableCredentials",
        )


def check_region(region: str) -> None:
    """Refuse a region that cannot be sent: each request names it next to the credentials.

    Raises
    ------
    SettingsError
        It has a character that no header can carry.
    """
    if not is_sendable(region):
        raise bad_region(region)


def region_variable() -> str | None:
    """Return ``AWS_REGION``; None if it is not set or empty.

    Raises
    ------
    SettingsError
        It has a character that no header can carry. botocore must not get it: it logs the value.
    """
    region = os.environ.get("AWS_REGION") or None
    if region is not None:
        check_region(region)
    return region


def bad_region(region: str) -> SettingsError:
    variables = ("AWS_REGION", "AWS_DEFAULT_REGION")
    source = next((name for name in variables if os.environ.get(name) == region), "the region")
    fits = is_sendable(region)
    return SettingsError(
        f"{source} is {region!r}, which is not the name of a region"
        if fits
        else f"{source} is not the name of a region",
        why="it can have letters, digits and hyphens" if fits else _FAULT,
        next="write it like eu-west-1",
        code="InvalidRegion",
    )


def no_credentials(error: ValueError) -> SettingsError:
    """Return the error for settings of credentials that botocore refuses with a ValueError."""
    why = without_credentials(text_of(error))
    if why.startswith("Auth token"):
        why = (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN, or the file that "
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names, has a line end"
        )
    return SettingsError(
        "the AWS credentials cannot be fetched",
        why=why,
        next="check the AWS profile and the AWS environment variables",
    )


def not_sendable(doing: str) -> SettingsError:
    """Return the error for a request that the HTTP client refused, without what it quotes."""
    bad = [name for name in _VARIABLES if not is_sendable(os.environ.get(name, ""))]
    what = " and ".join(bad) or "a credential, region, endpoint or proxy"
    return SettingsError(
        f"cannot {doing}: the HTTP client refuses to send the request",
        why=f"a space or a character that HTTP cannot carry is in {what}",
        next=_NEXT if bad else "check these settings for line ends, spaces and non-ASCII text",
        code="UnsendableRequest",
    )


def _name(variable: str, key: str, method: str, profile: str | None) -> str:
    if method == "env":
        return variable
    if method in _PROFILES:
        return f"{key} of the AWS profile {profile or 'default'!r}"
    if method == "explicit":
        return f"{key} of the boto3 session"
    return f"the {key.removeprefix('aws_').replace('_', ' ')} from {method}"
