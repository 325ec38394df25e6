"""Refuse requests that web pages make a browser send to a server on this machine.

Any web page can make a browser send requests to ``127.0.0.1``. It cannot choose the headers that
browsers set themselves: ``Host``, ``Origin`` and ``Sec-Fetch-Site``. If the site makes its own name
resolve to this machine (DNS rebinding), the page can even read the answers, but then ``Host`` has
that name.

Sources: https://www.w3.org/TR/fetch-metadata/, https://fetch.spec.whatwg.org/#origin-header
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

_HOST: Final = re.compile(
    r"(?:(?P<name>[A-Za-z0-9_.-]{1,255})|\[(?P<ip>[0-9A-Fa-f:.]{2,45})(?:%25?[\w.-]{1,32})?\])"
    r"(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)
_URL: Final = re.compile(r"(https?)://([^/?#@]+)(?:[/?#].*)?", re.ASCII | re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}
#: maximum characters of a header that an answer repeats
_SHOWN: Final = 100
#: Headers that only browsers send. This excludes Sec-Fetch-Mode, which Node.js's fetch() sends, and
#: an Accept header for images, which Java's HttpURLConnection sends.
_BROWSER_HEADERS: Final = (
    "sec-fetch-site",
    "sec-fetch-dest",
    "origin",
    "referer",
    "cookie",
    "sec-websocket-key",
    "upgrade-insecure-requests",
)


class _Host(NamedTuple):
    """A host from a ``Host`` header, in lower case; addresses are normalized."""

    name: str
    #: None: not given
    port: int | None
    is_address: bool
    #: whether it always means this machine, so it cannot be rebound
    is_loopback: bool
    is_unspecified: bool


class RequestGuard:
    """A check of request headers that decides whether a server answers.

    Parameters
    ----------
    address :
        The IP address that the server is bound to. If it is the wildcard address, ``Host`` can be
        any IP address, because only names can be rebound.
    names :
        Other hosts to accept. A name with a port accepts only that port.
    hint :
        How to accept another host, for the end of a refusal; ``{host}`` is replaced by its name.

    Raises
    ------
    ValueError
        A name is not a host name.
    """

    def __init__(
        self, address: str, names: Iterable[str] = (), *, hint: str = "allow_hosts=[{host!r}]"
    ) -> None:
        bound = parse_host(address)
        self._is_wildcard = bound is not None and bound.is_unspecified
        self._allowed = {(bound.name, bound.port)} if bound is not None else set()
        for name in names:
            host = parse_host(name if name.isascii() else name.encode("idna").decode())
            if host is None:
                raise ValueError(f"{name!r} is not a host name")
            self._allowed.add((host.name, host.port))
        self._hint = hint
        # Requests usually have one of a few hosts.
        self._host_refusal = lru_cache(64)(self._refuse_host)

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Return why the request is refused, or None if it is accepted."""
        host = headers.get("host")
        if host and (refusal := self._host_refusal(host)):
            return refusal
        site = headers.get("sec-fetch-site")
        if site is not None and site not in ("none", "same-origin"):
            return _FOREIGN.format(f"Sec-Fetch-Site: {site[:_SHOWN]!r}")
        for name in ("origin", "referer"):
            value = headers.get(name)
            if value is not None and not _is_same_host(value, host):
                return _FOREIGN.format(f"{name.title()}: {value[:_SHOWN]!r}")
        return None

    def _refuse_host(self, text: str) -> str | None:
        host = parse_host(text)
        if host is not None and self._accepts(host):
            return None
        why = (
            f"This server does not answer to the host {text[:_SHOWN]!r}: a web page could have"
            " pointed that name at this machine (DNS rebinding)."
        )
        if host is None:
            return why
        return (
            f"{why} If the name is yours, start the server with {self._hint.format(host=host.name)}"
        )

    def _accepts(self, host: _Host) -> bool:
        return (
            host.is_loopback
            or host.is_unspecified
            or (host.is_address and self._is_wildcard)
            or (host.name, None) in self._allowed
            or (host.name, host.port) in self._allowed
        )


_FOREIGN: Final = (
    "A browser sent this request for a page of another site ({}). Web pages cannot use this server."
    " Send the request from a program, without that header."
)


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers of an ASGI scope, with repeated headers joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def has_browser_headers(headers: Mapping[str, str]) -> bool:
    """Return whether the headers show that a browser sent the request.

    If a page loads an image from an address that is neither loopback nor HTTPS, ``User-Agent`` is
    the only header that shows it.
    """
    return any(name in headers for name in _BROWSER_HEADERS) or headers.get(
        "user-agent", ""
    ).startswith("Mozilla/")


def parse_host(text: str) -> _Host | None:
    """Parse a ``Host`` header; return None if it is not a host with an optional port."""
    found = _HOST.fullmatch(text)
    if found is None and text.count(":") > 1:  # an IPv6 address without brackets
        found = _HOST.fullmatch(f"[{text}]")
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else None
    name = (found["name"] or found["ip"]).lower().removesuffix(".")
    try:
        address = ip_address(name)
    except ValueError:
        is_local = name == "localhost" or name.endswith(".localhost")
        return _Host(name, port, False, is_local, False) if name and found["name"] else None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return _Host(str(address), port, True, address.is_loopback, address.is_unspecified)


def _is_same_host(url: str, host: str | None) -> bool:
    """Return whether a page at this URL comes from the server that ``Host`` names."""
    found = _URL.fullmatch(url)
    page = parse_host(found[2]) if found else None
    own = parse_host(host) if host else None
    if found is None or page is None or own is None:
        return False
    # A proxy can add TLS, so ``Host`` alone does not determine the default port.
    default = _PORTS[found[1].lower()]
    return (page.name, page.port or default) == (own.name, own.port or default)
