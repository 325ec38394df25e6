"""Addresses of servers that cannot be used, told without the passwords in them."""

from urllib.parse import urlsplit

from sqsw.core.errors import SettingsError
from sqsw.core.wording import without_password


def no_client(error: ValueError) -> SettingsError:
    """Say how the address is written; mostly its scheme is missing."""
    reason = str(error)
    address = reason.removeprefix("Invalid endpoint:").strip()
    if address == reason:
        return SettingsError("no client for SQS can be made", why=reason)
    address = without_password(address) if "//" in address else address.rpartition("@")[2]
    message = f"the endpoint {address!r} is no URL"
    if "//" in address:
        return SettingsError(message, next="write it like http://127.0.0.1:9324")
    why = "it does not begin with http:// or https://"
    return SettingsError(message, why=why, next=f"write http://{address}")


def check_address(endpoint: str) -> None:
    """Refuse what botocore takes and stumbles over in each call, with a part of the password."""
    before, _, host = endpoint.rpartition("@")
    if set("/?#") & set(before.partition("://")[2]):
        raise SettingsError(
            f"the endpoint at {host!r} is no URL",
            why="one of / ? # stands before its @, and ends the name of a server",
            next="in a user name or a password write / as %2F, ? as %3F and # as %23",
        )
    try:
        _ = urlsplit(endpoint).port
    except ValueError as error:
        raise SettingsError(
            f"the endpoint {without_password(endpoint)!r} is no URL",
            why="its port is no number from 0 to 65535",
            next="write it like http://127.0.0.1:9324",
        ) from error
