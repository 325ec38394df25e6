"""Choose how a session's frequent calls reach SQS."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from sqsw.core.calls import Calls

if TYPE_CHECKING:
    from botocore.session import Session

    from sqsw.transport.wire.calls import Endpoint

#: ``direct`` calls the functions of the embedded SQS, ``wire`` uses our own connections, and
#: ``boto3`` uses a boto3 client
Way = Literal["direct", "wire", "boto3"]


@dataclass(frozen=True)
class Route:
    """The route of one process's frequent calls, without botocore if possible.

    Attributes
    ----------
    calls :
        The object that makes the calls; None if only botocore can.
    way :
        The name of the route.
    reason :
        Why only botocore can make the calls.
    region, endpoint_url :
        The region and server of the calls; None if only botocore knows them.
    close :
        A function that closes the connections.
    is_valid :
        A function that returns False when another route must be found.
    """

    calls: Calls | None
    way: Way
    reason: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    close: Callable[[], object] = lambda: None
    is_valid: Callable[[], bool] = lambda: True


def boto3_route(reason: str) -> Route:
    return Route(None, "boto3", reason)


def direct_route(calls: Any) -> Route:
    return Route(calls, "direct", region=calls.region, endpoint_url=calls.origin)


def plain_wire_route(
    region: str | None, endpoint_url: str | None, on_request: Callable[[str], object]
) -> Route | None:
    """Return the wire route if environment variables hold all settings, otherwise None.

    It does not import botocore. It is valid until other code does, because that code can then watch
    or mock calls.

    Raises
    ------
    SettingsError
        A credential contains a character that an HTTP header cannot carry.
    """
    from sqsw.transport.wire.plain_settings import can_be_watched, plain_endpoint

    endpoint = plain_endpoint(region, endpoint_url)
    return endpoint and _wire(endpoint, on_request, is_valid=lambda: not can_be_watched())


def wire_route(
    session: "Session",
    region: str | None,
    endpoint_url: str | None,
    on_request: Callable[[str], object],
) -> Route:
    """Return the wire route for a botocore session, or the boto3 route with the reason.

    Raises
    ------
    BotoCoreError, ValueError
        A setting is wrong, or credentials cannot be fetched. Creating a boto3 client raises a
        clearer error.
    """
    from sqsw.transport.wire.conditions import StepAside, find_endpoint

    try:
        endpoint = find_endpoint(session, region, endpoint_url)
    except StepAside as error:
        return boto3_route(str(error))
    return _wire(endpoint, on_request)


def _wire(
    endpoint: "Endpoint",
    on_request: Callable[[str], object],
    is_valid: Callable[[], bool] = lambda: True,
) -> Route:
    from sqsw.transport.wire.calls import WireCalls

    calls = WireCalls(endpoint, on_request)
    return Route(calls, "wire", None, endpoint.region, endpoint.url, calls.close, is_valid)


def botocore_session(session: Any) -> "Session | None":
    """Return the botocore session of a boto3 session or of the boto3 module, otherwise None.

    A subclass of boto3's session also gets None, because it can create different clients.
    """
    boto3: Any = sys.modules.get("boto3")
    if boto3 is None:
        return None
    if isinstance(session, ModuleType) and session is boto3:
        if boto3.DEFAULT_SESSION is None:
            boto3.setup_default_session()
        session = boto3.DEFAULT_SESSION
    if type(session) is not boto3.session.Session or "client" in vars(session):
        return None
    core: Session | None = getattr(session, "_session", None)
    session_class = sys.modules["botocore.session"].Session
    return core if type(core) is session_class and "create_client" not in vars(core) else None
