"""Detect code that watches or mocks botocore's calls, because such calls cannot bypass botocore."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from operator import is_
from types import FunctionType
from typing import Any, NamedTuple

from sqsw.core.calls import DIRECT_ACTIONS, METHODS

#: botocore's events during a call, without the action name
_EVENTS = (
    "creating-client-class",
    "before-endpoint-resolution",
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

_AWS_PACKAGES = ("botocore.", "boto3.")

#: packages whose handlers for these events can be skipped
_KNOWN_PACKAGES = (*_AWS_PACKAGES, "sqsw.")

#: packages whose functions make the calls; a function of any other package watches or replaces them
_CALL_PACKAGES = (*_AWS_PACKAGES, "urllib3.", "http.")

#: packages that register handlers on each client at its first call
_PACKAGES_AT_EACH_CLIENT = ("ddtrace.",)


class _Part(NamedTuple):
    """A function or class in a class or module that tracers or recorders can replace."""

    owner: str
    name: str
    namespace: Mapping[str, Any]

    @property
    def value(self) -> Any:
        return self.namespace.get(self.name)


class _Finding(NamedTuple):
    """The result of a search, and the marks that show whether something has changed since."""

    marks: list[Any]
    reason: str | None
    is_users_client_changed: bool


class HandlerCheck:
    """A detector for code that watches, mocks or wraps botocore's calls."""

    def __init__(self) -> None:
        self._emitters: list[Any] = []
        self._client: Any = None
        self._first_handlers: list[Any] = []
        # Replaced as a whole, because many threads search at once.
        self._finding = _Finding([], None, False)

    def add(self, emitter: Any) -> None:
        """Also check the handlers of this emitter, which belongs to a session or a client."""
        self._emitters.append(emitter)

    def add_users_client(self, client: Any) -> None:
        """Watch the client that users can access for changes made from now on."""
        with suppress(AttributeError):  # `reason` reports this version of botocore
            self._first_handlers = list(_foreign_handlers(client.meta.events))
        self._client = client
        self.add(client.meta.events)

    @property
    def reason(self) -> str | None:
        """Why calls must go through botocore now, or None.

        Reading it takes only a few identity checks if nothing has changed since the last time.
        """
        return self._look().reason

    @property
    def is_users_client_changed(self) -> bool:
        """Whether a user has changed the client passed to :meth:`add_users_client`.

        If so, that client must make the calls.
        """
        return self._look().is_users_client_changed

    def _look(self) -> "_Finding":
        # Take the marks before the search: if another thread registers a handler during it, the
        # next call searches again.
        marks, finding = self._current_marks(), self._finding
        if len(marks) != len(finding.marks) or not all(map(is_, marks, finding.marks)):
            try:
                finding = _Finding(marks, self._find_reason(), self._find_change())
            except AttributeError:
                reason = "this version of botocore stores its handlers differently"
                finding = _Finding(marks, reason, False)
            self._finding = finding
        return finding

    def _current_marks(self) -> list[Any]:
        # botocore replaces this dictionary whenever a handler is registered or removed.
        marks = [
            getattr(getattr(emitter, "_emitter", None), "_lookup_cache", None)
            for emitter in self._emitters
        ]
        marks += [namespace.get(name) for _, name, namespace in _watched_parts()]
        if self._client is not None:
            marks += map(vars(self._client).get, METHODS.values())
        return marks

    def _find_reason(self) -> str | None:
        for part in _watched_parts():
            if not _is_original(part.value):
                return f"{part.owner}.{part.name} is replaced or wrapped"
        for emitter in self._emitters:
            for handler in _foreign_handlers(emitter):
                return f"{_module_of(handler)} handles botocore's events"
        return "a method of the client is replaced" if self._find_change() else None

    def _find_change(self) -> bool:
        client = self._client
        return client is not None and (
            not vars(client).keys().isdisjoint(METHODS.values())
            or any(
                handler not in self._first_handlers
                and not _has_package(_module_of(handler), _PACKAGES_AT_EACH_CLIENT)
                for handler in _foreign_handlers(client.meta.events)
            )
        )


def _watched_parts() -> Sequence[_Part]:
    """Return the parts that tracers and recorders can replace; none before botocore is imported."""
    if "botocore.client" not in sys.modules:
        return ()
    return _find_parts("boto3.session" in sys.modules)


@cache
def _find_parts(with_boto3: bool) -> Sequence[_Part]:
    from http.client import HTTPConnection

    import urllib3
    from botocore import auth, awsrequest, client, endpoint, httpsession, parsers, session

    endpoints: Any = endpoint  # not all its names are in the type stubs
    owners: list[tuple[Any, tuple[str, ...]]] = [
        (session.Session, ("create_client",)),
        (client.BaseClient, ("__init__", "_make_api_call", "_emit_api_params")),
        (client.ClientCreator, ("_create_api_method", "_create_methods")),
        (endpoints.Endpoint, ("make_request", "prepare_request", "_send_request")),
        (auth.SigV4Auth, ("add_auth",)),
        (parsers.ResponseParser, ("parse",)),
        (httpsession.URLLib3Session, ("send",)),
        (awsrequest.AWSHTTPConnectionPool, ("ConnectionCls",)),
        (awsrequest.AWSHTTPSConnectionPool, ("ConnectionCls",)),
        (urllib3.HTTPConnectionPool, ("urlopen",)),
        (HTTPConnection, ("putrequest", "getresponse")),
    ]
    if with_boto3:
        import boto3.session

        owners += [
            (boto3, ("client",)),
            (boto3.session, ("Session",)),
            (boto3.session.Session, ("client",)),
        ]
    # Read the namespaces, because getattr() on a wrapped function returns a new object each time.
    return [_Part(owner.__name__, name, vars(owner)) for owner, names in owners for name in names]


def _is_original(part: Any) -> bool:
    # botocore decorates some of its functions, so check the package whose code runs first. Compare
    # types, because wrapt's wrappers pass isinstance() as the function that they wrap.
    if type(part) is FunctionType:
        return _has_package(part.__globals__.get("__name__", ""), _CALL_PACKAGES)
    return type(part) is type and _has_package(part.__module__, _AWS_PACKAGES)


def _foreign_handlers(emitter: Any) -> Iterator[Any]:
    trie = emitter._emitter._handlers
    for event in _EVENTS:
        for action in DIRECT_ACTIONS:
            for handler in trie.prefix_search(f"{event}.sqs.{action}"):
                if not _is_known(handler):
                    yield handler


def _is_known(handler: Any) -> bool:
    module = _module_of(handler)
    return _has_package(module, _KNOWN_PACKAGES) and module != "botocore.stub"


def _module_of(handler: Any) -> str:
    owner = getattr(handler, "__self__", None)
    if owner is not None:
        return type(owner).__module__
    return getattr(handler, "__module__", None) or type(handler).__module__


def _has_package(module: str, packages: tuple[str, ...]) -> bool:
    return f"{module}.".startswith(packages)
