"""The base class of all sessions on the embedded SQS."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from sqsw.core.errors import SettingsError
from sqsw.local.engine import DEFAULT_ORIGIN, DEFAULT_REGION, LocalEngine
from sqsw.memory_sqs.boto_session import boto_session, making
from sqsw.memory_sqs.botocore_seam import attach
from sqsw.memory_sqs.direct_calls import DirectCalls


class EmbeddedSession(ABC):
    """A replacement for a boto3 session; its SQS clients talk to an engine."""

    #: the file; None if the queues are in memory
    path: str | None = None

    def __init__(self, region_name: str | None) -> None:
        self.region_name = region_name or DEFAULT_REGION

    @property
    @abstractmethod
    def engine(self) -> LocalEngine:
        """The embedded SQS of this session."""

    def client(
        self,
        service_name: str,
        region_name: str | None = None,
        *,
        endpoint_url: str | None = None,
        **options: Any,
    ) -> Any:
        """Return a boto3 client for SQS.

        Parameters
        ----------
        service_name :
            Must be ``sqs``.
        region_name :
            Default: the session's region.
        endpoint_url :
            The start of queue URLs. Nothing is sent to it.
        options :
            Options of boto3. A ``config`` overrides single settings of the session's.

        Raises
        ------
        SettingsError
            The service is not ``sqs``, or the file cannot be used.
        Busy
            Another program has locked the file.
        """
        return self._make("client", service_name, region_name, endpoint_url, options)

    def resource(
        self,
        service_name: str,
        region_name: str | None = None,
        *,
        endpoint_url: str | None = None,
        **options: Any,
    ) -> Any:
        """Return a boto3 resource for SQS; see :meth:`client` for the parameters and errors."""
        return self._make("resource", service_name, region_name, endpoint_url, options)

    def close(self) -> None:
        self.engine.close()

    def direct_calls(
        self, region_name: str | None, endpoint_url: str | None, on_request: Callable[[str], object]
    ) -> DirectCalls | None:
        """Return an object that makes calls without botocore; parameters as for :meth:`client`.

        None if :meth:`client` is overridden: then all calls must use the clients that it returns.

        Parameters
        ----------
        on_request :
            Called with the action of every successful call.
        """
        if type(self).client is not EmbeddedSession.client or "client" in vars(self):
            return None
        region_name = region_name or self.region_name
        return DirectCalls(self.engine, region_name, endpoint_url, self.path, on_request)

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the queues are, as text for people."""

    def _make(
        self,
        kind: str,
        service_name: str,
        region_name: str | None,
        endpoint_url: str | None,
        options: dict[str, Any],
    ) -> Any:
        if service_name != "sqs":
            raise SettingsError(
                f"a {type(self).__name__} has no service {service_name!r}",
                why="only SQS is embedded",
                next=f"use a boto3 session for {service_name!r}",
            )
        region_name = region_name or self.region_name
        with making:
            engine = self.engine  # raise file errors here, not at the first call
            made = getattr(boto_session(), kind)(
                service_name,
                region_name=region_name,
                endpoint_url=endpoint_url or DEFAULT_ORIGIN,
                **options,
            )
        client = made if kind == "client" else made.meta.client
        attach(client, engine, region_name, self.path)
        return made
