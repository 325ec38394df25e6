"""When calls can bypass botocore, and where they go then.

botocore stays the judge of credentials, region, endpoint and certificates. If anything about a
session is unusual, its calls go through botocore: whoever has put a proxy, a recorder or a mock
there keeps seeing all of them.
"""

import os
from collections.abc import Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqsw.transport.calls import WIRE_ACTIONS
from sqsw.transport.wire.calls import Endpoint
from sqsw.transport.wire.connection import Address
from sqsw.transport.wire.signature import SigningCredentials

if TYPE_CHECKING:
    from botocore.session import Session

_PORTS = {"http": 80, "https": 443}

#: botocore's events during a call, without the part that names the action
_EVENTS = (
    "provide-client-params",
    "before-parameter-build",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "response-received",
    "needs-retry",
    "before-parse",
    "after-call",
    "after-call-error",
)

#: packages whose handlers of these events the wire can do without
_KNOWN_PACKAGES = ("botocore.", "boto3.", "sqsw.")


class StepAside(Exception):
    """The calls of this session go through botocore; the text says why."""


class HandlerCheck:
    """Notices whether somebody listens to, or has wrapped, the calls of a botocore session.

    Parameters
    ----------
    emitter :
        The ``event_emitter`` of the session.
    """

    def __init__(self, emitter: Any) -> None:
        self._emitters = [emitter]
        self._marks: tuple[Any, ...] = ()

    def add_client(self, client: Any) -> None:
        """Watch the events of this client, too."""
        self._emitters.append(client.meta.events)
        self._marks = ()

    def check(self) -> None:
        """Raise if somebody watches; costs an identity check unless something has changed.

        Raises
        ------
        StepAside
            A mock, a recorder or a tracer is there, or botocore is not the one that is known.
        """
        marks = self._current_marks()
        if len(marks) == len(self._marks) and all(map(_is, marks, self._marks)):
            return
        for function in _functions():
            if not _is_botocores(function):
                raise StepAside("botocore's calls are wrapped")
        for emitter in self._emitters:
            for handler in _handlers(emitter):
                if not _is_known(handler):
                    raise StepAside("a handler of botocore's events is registered")
        # botocore has put new caches there while it was asked.
        self._marks = self._current_marks()

    def _current_marks(self) -> tuple[Any, ...]:
        try:
            # botocore replaces this dictionary whenever a handler is registered or removed.
            caches = [emitter._emitter._lookup_cache for emitter in self._emitters]
            return (*caches, *_functions())
        except AttributeError as error:
            raise StepAside("this botocore has other internals") from error


def find_endpoint(session: "Session", region: str | None, endpoint_url: str | None) -> Endpoint:
    """Return where botocore would send the calls of SQS, and how they are signed.

    Parameters
    ----------
    session :
        A botocore session.
    region, endpoint_url :
        What code has named; None leaves the choice to botocore.

    Raises
    ------
    StepAside
        Something about the session needs botocore.
    """
    from botocore.utils import get_environ_proxies

    if session.get_default_client_config() is not None:
        raise StepAside("the session has a client configuration of its own")
    if session.get_config_variable("auth_scheme_preference"):
        raise StepAside("a preference of authentication schemes is configured")
    region = region or session.get_config_variable("region")
    if not region or "fips" in region or region == "aws-global":
        raise StepAside("the region is left to botocore")
    url = _url(session, region, endpoint_url)
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise StepAside("the endpoint is not an HTTP address")
    if parts.username or parts.password or parts.query or parts.path.strip("/"):
        raise StepAside("the endpoint has a path, a query or a user")
    if get_environ_proxies(url):
        raise StepAside("a proxy is configured")
    credentials = session.get_credentials()
    if credentials is None:
        raise StepAside("there are no credentials")

    def current() -> SigningCredentials:
        frozen: Any = credentials.get_frozen_credentials()
        return SigningCredentials(frozen.access_key, frozen.secret_key, frozen.token)

    is_tls = parts.scheme == "https"
    address = Address(parts.hostname, parts.port or _PORTS[parts.scheme], is_tls)
    return Endpoint(address, _host(parts), region, _tls(session) if is_tls else None, current)


def _url(session: "Session", region: str, endpoint_url: str | None) -> str:
    if endpoint_url is None and not session.get_config_variable("ignore_configured_endpoint_urls"):
        endpoint_url = _configured_url(session)
    if endpoint_url is not None:
        return endpoint_url
    from botocore.endpoint_provider import EndpointProvider

    is_dual_stack = bool(session.get_config_variable("use_dualstack_endpoint"))
    if is_dual_stack and "-iso" in region:
        raise StepAside("botocore knows no dual-stack endpoint there")
    loader = session.get_component("data_loader")
    provider = EndpointProvider(
        ruleset_data=loader.load_service_model("sqs", "endpoint-rule-set-1"),
        partition_data=loader.load_data("partitions"),
    )
    found = provider.resolve_endpoint(
        Region=region,
        UseFIPS=bool(session.get_config_variable("use_fips_endpoint")),
        UseDualStack=is_dual_stack,
    )
    return str(found.url)


def _configured_url(session: "Session") -> str | None:
    from botocore.configprovider import ConfiguredEndpointProvider

    provider = ConfiguredEndpointProvider(
        full_config=session.full_config,
        scoped_config=session.get_scoped_config(),
        client_name="sqs",
    )
    found: str | None = provider.provide()
    return found


def _tls(session: "Session") -> Any:
    """botocore's own settings, with the check of the host name that urllib3 makes for it."""
    import ssl

    from botocore.httpsession import create_urllib3_context, get_cert_path

    verify: Any = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    context = create_urllib3_context()
    context.load_verify_locations(get_cert_path(verify or True))
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    return context


def _host(parts: Any) -> str:
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    return host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"


def _functions() -> tuple[Any, ...]:
    """What tracers wrap: some at the call, some where a client is made."""
    import botocore.client
    from botocore.endpoint import Endpoint as BotocoreEndpoint
    from botocore.httpsession import URLLib3Session

    client: Any = botocore.client  # two of its names are not in the type stubs

    return (
        client.BaseClient.__init__,
        client.BaseClient._make_api_call,
        client.ClientCreator._create_api_method,
        BotocoreEndpoint.make_request,
        URLLib3Session.send,
    )


def _is_botocores(function: Any) -> bool:
    # botocore decorates some of these itself. What counts is whose code runs first.
    return isinstance(function, FunctionType) and _has_package(
        function.__globals__.get("__name__", ""), ("botocore.",)
    )


def _handlers(emitter: Any) -> Iterator[Any]:
    trie = emitter._emitter._handlers
    for event in _EVENTS:
        for action in WIRE_ACTIONS:
            yield from trie.prefix_search(f"{event}.sqs.{action}")


def _is_known(handler: Any) -> bool:
    owner = getattr(handler, "__self__", None)
    module = getattr(handler, "__module__", None) or type(handler).__module__
    if owner is not None:
        module = type(owner).__module__
    return _has_package(module, _KNOWN_PACKAGES) and module != "botocore.stub"


def _has_package(module: str, packages: tuple[str, ...]) -> bool:
    return f"{module}.".startswith(packages)


def _is(one: object, other: object) -> bool:
    return one is other
