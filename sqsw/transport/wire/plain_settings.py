"""Find the endpoint without botocore, if environment variables hold all settings.

Importing botocore and creating a session take longer than the rest of a worker's start.
"""

import os
import re
import ssl
import sys

from sqsw.core.sendable import check_credentials
from sqsw.transport.endpoints import endpoint_of_environment
from sqsw.transport.wire.calls import Endpoint
from sqsw.transport.wire.signature import SigningCredentials

#: the supported variables; botocore's other variables need a session
_UNDERSTOOD = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"),
    *("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    "AWS_EC2_METADATA_DISABLED",  # only concerns credentials from other sources
}

#: regions with endpoints in amazonaws.com, from botocore's partitions.json
_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]+")

_URL = re.compile(r"https?://[a-z0-9]+([.-][a-z0-9]+)*(:(?P<port>[0-9]{1,5}))?/?")

#: modules that tracers and mocks patch
_WATCHED_MODULES = ("botocore", "urllib3", "http.client")

#: modules of import finders that do not patch. Tracers install finders that patch botocore.
_FINDERS = ("_frozen_importlib", "_distutils_hack", "_virtualenv", "__editable__", "six", "sqsw")


def plain_endpoint(region: str | None, endpoint_url: str | None) -> Endpoint | None:
    """Return the endpoint to which botocore would send SQS calls.

    Parameters
    ----------
    region, endpoint_url :
        The values set in code; None uses the environment variables.

    Returns
    -------
    Endpoint or None
        None if botocore would read other settings.

    Raises
    ------
    SettingsError
        A credential contains a character that an HTTP header cannot carry.
    """
    if not _has_only_variables():
        return None
    get = os.environ.get
    region = region or get("AWS_REGION", get("AWS_DEFAULT_REGION", ""))
    url = endpoint_of_environment() if endpoint_url is None else endpoint_url
    url = f"https://sqs.{region}.amazonaws.com" if url is None else url
    parts = _URL.fullmatch(url)
    if not _REGION.fullmatch(region) or parts is None or int(parts["port"] or 0) > 65535:
        return None
    access_key, secret_key = get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    credentials = SigningCredentials(access_key, secret_key, get("AWS_SESSION_TOKEN") or None)
    check_credentials(credentials, "env", None)
    try:
        tls = _tls() if url.startswith("https") else None
    except (ImportError, OSError):  # botocore brings certificates, or raises a clearer error
        return None
    return Endpoint.at(url, region, tls, lambda: credentials)


def can_be_watched() -> bool:
    """Return whether code can have patched botocore or the modules that it uses."""
    return not sys.modules.keys().isdisjoint(_WATCHED_MODULES)


def _has_only_variables() -> bool:
    return not (
        any(_is_unknown(name) for name in os.environ)
        or os.path.exists(os.path.expanduser("~/.aws"))
        or sys.platform == "darwin"  # the system settings can set a proxy
        or can_be_watched()
        or any(
            not getattr(finder, "__module__", "").startswith(_FINDERS) for finder in sys.meta_path
        )
    )


def _is_unknown(name: str) -> bool:
    return name not in _UNDERSTOOD and (
        name.startswith(("AWS_", "BOTO")) or name.lower().endswith("_proxy")
    )


def _tls() -> ssl.SSLContext:
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    if not bundle:
        from certifi import where

        bundle = where()
    return ssl.create_default_context(cafile=bundle)
