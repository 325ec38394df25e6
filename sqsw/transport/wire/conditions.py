"""Decide whether a session can use the wire, and find its endpoint.

Credentials, region, endpoint and certificates come from the botocore session. The calls of an
unusual session go through botocore.
"""

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqsw.core.sendable import check_credentials, is_sendable
from sqsw.transport.wire.calls import PORTS, Endpoint
from sqsw.transport.wire.signature import SigningCredentials

if TYPE_CHECKING:
    from botocore.session import Session


class StepAside(Exception):
    """The reason why a session's calls must go through botocore."""


def find_endpoint(session: "Session", region: str | None, endpoint_url: str | None) -> Endpoint:
    """Return the endpoint to which botocore would send SQS calls.

    Parameters
    ----------
    session :
        A botocore session.
    region, endpoint_url :
        The values set in code; None lets botocore choose.

    Raises
    ------
    StepAside
        The calls must go through botocore.
    InvalidRegionError
        The region name is malformed.
    """
    from botocore.credentials import RefreshableCredentials
    from botocore.utils import (
        get_environ_proxies,
        is_valid_endpoint_url,
        is_valid_ipv6_endpoint_url,
        validate_region_name,
    )

    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        raise StepAside("in AWS Lambda, only botocore adds the invocation's trace header")
    if session.get_default_client_config() is not None:
        raise StepAside("the session has its own client configuration")
    if session.get_config_variable("auth_scheme_preference"):
        raise StepAside("auth_scheme_preference is configured")
    region = region or session.get_config_variable("region")
    if not region or "fips" in region or region == "aws-global":
        raise StepAside("only botocore can choose the region")
    validate_region_name(region)  # a region such as "evil.example#" could change the host
    url = _url(session, region, endpoint_url)
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or not is_sendable(url + region):
        raise StepAside("the endpoint is not an HTTP URL")
    if not (is_valid_endpoint_url(url) or is_valid_ipv6_endpoint_url(url)):
        raise StepAside("botocore refuses the host name of the endpoint")
    if parts.username or parts.password or parts.query or parts.path.strip("/"):
        raise StepAside("the endpoint has a path, a query or a user name")
    if get_environ_proxies(url):
        raise StepAside("a proxy is configured")
    credentials = session.get_credentials()
    if credentials is None:
        raise StepAside("no credentials were found")

    checked: Any = None

    def current() -> SigningCredentials:
        nonlocal checked
        frozen: Any = credentials.get_frozen_credentials()
        if frozen != checked:
            check_credentials(frozen, credentials.method, session.profile)
            checked = frozen
        return SigningCredentials(frozen.access_key, frozen.secret_key, frozen.token)

    # Report unusable credentials at the start. Refreshable ones wait for the first call, because
    # fetching them can ask the user for a code.
    if not isinstance(credentials, RefreshableCredentials):
        current()
    tls = _tls(session) if parts.scheme == "https" else None
    return Endpoint.at(url, region, tls, current)


def _url(session: "Session", region: str, endpoint_url: str | None) -> str:
    if endpoint_url is None and not session.get_config_variable("ignore_configured_endpoint_urls"):
        endpoint_url = _configured_url(session)
    if endpoint_url is not None:
        return endpoint_url
    from botocore.endpoint_provider import EndpointProvider

    is_dual_stack = bool(session.get_config_variable("use_dualstack_endpoint"))
    if is_dual_stack and "-iso" in region:
        raise StepAside("botocore has no dual-stack endpoint in this region")
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
    """Return botocore's TLS context, plus the host name check that urllib3 does for botocore."""
    import ssl

    from botocore.httpsession import create_urllib3_context, get_cert_path

    verify: Any = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    context = create_urllib3_context()
    context.load_verify_locations(get_cert_path(verify or True))
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    return context
