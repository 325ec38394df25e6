"""Whether somebody watches the calls of botocore, so that none must bypass it."""

import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from sqsw.core.calls import DIRECT_ACTIONS

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

_AWS_PACKAGES = ("botocore.", "boto3.")

#: packages whose handlers of these events calls can do without
_KNOWN_PACKAGES = (*_AWS_PACKAGES, "sqsw.")


class HandlerCheck:
    """Notices whether somebody watches, mocks or has wrapped the calls of botocore."""

    def __init__(self) -> None:
        self._emitters: list[Any] = []
        self._marks: tuple[Any, ...] = ()
        self._reason: str | None = None

    def add(self, emitter: Any) -> None:
        """Look at the handlers of this emitter, that of a session or of a client, too."""
        self._emitters.append(emitter)

    @property
    def reason(self) -> str | None:
        """Why calls have to go through botocore now, or None.

        Asking costs a few identity checks unless something has changed since the last time.
        """
        marks = self._current_marks()
        if len(marks) != len(self._marks) or not all(map(_is, marks, self._marks)):
            self._reason = self._find_reason()
            # The search itself can have put new caches there.
            self._marks = self._current_marks()
        return self._reason

    def _current_marks(self) -> tuple[Any, ...]:
        # botocore replaces this dictionary whenever a handler is registered or removed.
        caches = [
            getattr(getattr(emitter, "_emitter", None), "_lookup_cache", None)
            for emitter in self._emitters
        ]
        return (*caches, *_watched_parts())

    def _find_reason(self) -> str | None:
        if not all(map(_is_botocores, _watched_parts())):
            return "botocore's calls are wrapped"
        try:
            handlers = [handler for emitter in self._emitters for handler in _handlers(emitter)]
        except AttributeError:
            return "this version of botocore keeps its handlers elsewhere"
        if not all(map(_is_known, handlers)):
            return "a handler of botocore's events is registered"
        return None


def _watched_parts() -> tuple[Any, ...]:
    """Return what tracers and recorders replace; nothing while botocore is not imported."""
    client: Any = sys.modules.get("botocore.client")
    if client is None:
        return ()
    from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
    from botocore.httpsession import URLLib3Session

    endpoint: Any = sys.modules["botocore.endpoint"]  # not all its names are in the type stubs
    boto3 = sys.modules.get("boto3.session")
    return (
        client.BaseClient.__init__,
        client.BaseClient._make_api_call,
        client.ClientCreator._create_api_method,
        endpoint.Endpoint.make_request,
        endpoint.Endpoint._send_request,
        endpoint.Endpoint.prepare_request,
        URLLib3Session.send,
        AWSHTTPConnectionPool.ConnectionCls,
        AWSHTTPSConnectionPool.ConnectionCls,
        *((boto3.Session.client,) if boto3 else ()),
    )


def _is_botocores(part: Any) -> bool:
    # botocore decorates some functions itself. What counts is whose code runs first.
    if isinstance(part, FunctionType):
        return _has_package(part.__globals__.get("__name__", ""), _AWS_PACKAGES)
    return isinstance(part, type) and _has_package(part.__module__, _AWS_PACKAGES)


def _handlers(emitter: Any) -> Iterator[Any]:
    trie = emitter._emitter._handlers
    for event in _EVENTS:
        for action in DIRECT_ACTIONS:
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
