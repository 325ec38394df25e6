"""The boto3 client, made at its first use, one for each process."""

import os
import threading
from typing import TYPE_CHECKING, Any

from sqsw.core.limits import MAX_WAIT_SECONDS
from sqsw.transport.service_errors import service_errors

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

#: seconds that an answer may take beyond a long poll before the connection counts as dead
_ANSWER_SECONDS = 15


class ClientSource:
    """Where the client comes from.

    Nothing is imported, looked up or connected before :attr:`client` is asked for, so an
    application can be imported without credentials, region or network.

    Parameters
    ----------
    session :
        What has ``client("sqs", …)``: a boto3 session, the ``boto3`` module, a session on the
        embedded SQS; None for a new boto3 session.
    retry_max_attempts :
        Retries of one call by botocore.
    retry_mode :
        How botocore retries: ``legacy``, ``standard`` or ``adaptive``.
    endpoint_url :
        Another SQS-compatible endpoint; None leaves the choice to boto3.
    region :
        The region; None takes ``AWS_REGION`` (which boto3 ignores) and then boto3's own choice.
    """

    def __init__(
        self,
        session: Any = None,
        *,
        retry_max_attempts: int = 3,
        retry_mode: str = "standard",
        endpoint_url: str | None = None,
        region: str | None = None,
    ) -> None:
        self.session = session
        self._retries = {"max_attempts": retry_max_attempts, "mode": retry_mode}
        self._endpoint_url = endpoint_url
        self._region = region
        self._lock = threading.Lock()
        self._client: SQSClient | None = None
        self._pid = 0

    @property
    def client(self) -> "SQSClient":
        """The client of this process; it may be used from many threads.

        Raises
        ------
        SettingsError
            There is no region, or the profile does not exist.
        """
        # A connection that is shared with a parent process would mix up answers after a fork.
        if self._client is None or self._pid != os.getpid():
            with self._lock:
                if self._client is None or self._pid != os.getpid():
                    self._client = self._make()
                    self._pid = os.getpid()
        return self._client

    def resource(self) -> Any:
        """A new boto3 resource; it may be used from one thread only."""
        session, keywords = self._session_and_keywords()
        return session.resource("sqs", **keywords)

    def _make(self) -> "SQSClient":
        with service_errors("use SQS"):
            session, keywords = self._session_and_keywords()
            client: SQSClient = session.client("sqs", **keywords)
        return client

    def _session_and_keywords(self) -> tuple[Any, dict[str, Any]]:
        from botocore.config import Config

        config = Config(
            retries=self._retries,  # type: ignore[arg-type]  # the stub wants its own TypedDict
            read_timeout=MAX_WAIT_SECONDS + _ANSWER_SECONDS,
            max_pool_connections=64,
        )
        keywords: dict[str, Any] = {"config": config}
        if self._endpoint_url is not None:
            keywords["endpoint_url"] = self._endpoint_url
        session = self.session
        if session is None:
            import boto3

            session = boto3.session.Session()
        region = self._region or _region_of_environment(session)
        if region is not None:
            keywords["region_name"] = region
        return session, keywords


def _region_of_environment(session: Any) -> str | None:
    import boto3

    # A session that somebody made with a region, or that is not boto3's, knows better.
    if session is not boto3 and type(session) is not boto3.session.Session:
        return None
    return os.environ.get("AWS_REGION") or None
