"""The boto3 client, made at its first use, one for each process."""

import copy
import os
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from sqsw.core.limits import MAX_WAIT_SECONDS
from sqsw.core.process_lock import ProcessLock
from sqsw.core.sendable import (
    check_credentials,
    check_region,
    keep_secret_variables,
    no_credentials,
)
from sqsw.transport.answers import check_answers
from sqsw.transport.endpoints import check_address, endpoint_of_environment, no_client
from sqsw.transport.service_errors import service_errors

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

#: seconds that an answer may take beyond a long poll before the connection counts as dead, and that
#: a connection may take: a worker is to be back within half a minute after a network is
_ANSWER_SECONDS, _CONNECT_SECONDS = 8, 5

#: seconds to connect and to be answered, and retries, of calls that never wait for a message: who
#: makes them has leases that run out meanwhile, and tries again by himself
_QUICK_CONNECT_SECONDS, _QUICK_ANSWER_SECONDS, _QUICK_RETRIES = 3, 10, 1

#: where boto3 reads credentials once, whatever is written there later
_FILES = ("shared-credentials-file", "config-file")

#: what clients of our own call themselves; botocore's own text is put together anew for each
#: call, which costs a seventh of it
_USER_AGENT = "sqsw"

#: ``plain``: what a user would make, too. The others cost less a call: ``lean`` for what is asked
#: again and again, ``quick`` for what must be answered soon as well.
_Kind = Literal["plain", "lean", "quick"]

#: Called before a client is used whose place no code has named; it may raise. For tests, which want
#: no such client; see :mod:`sqsw.pytest_plugin`.
before_unnamed: Callable[[], object] | None = None


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
    on_request :
        Called with the action (``ReceiveMessage`` …) of every request that is about to be sent;
        botocore's repetitions are requests too.
    is_named :
        Whether code says where the queues are, and not the variables of the process alone.
    """

    def __init__(
        self,
        session: Any = None,
        *,
        retry_max_attempts: int = 3,
        retry_mode: str = "standard",
        endpoint_url: str | None = None,
        region: str | None = None,
        on_request: Callable[[str], object] | None = None,
        is_named: bool = True,
    ) -> None:
        self.session = session
        self._is_named = is_named
        self._on_request = on_request
        self._retries: dict[str, Any] = {"max_attempts": retry_max_attempts, "mode": retry_mode}
        self._endpoint_url = endpoint_url
        self._region = region
        self._lock = ProcessLock()
        self._made: dict[_Kind, SQSClient] = {}
        self._own_session: Any = None
        self._pid = 0
        #: whose boto3 session it is
        self._root = self
        self._is_apart = False

    def apart(self) -> "ClientSource":
        """The same with short timeouts, and requests that nobody is told of: for who looks on."""
        other = copy.copy(self)
        other._made, other._on_request = {}, None
        other._is_apart = True
        return other

    @property
    def client(self) -> "SQSClient":
        """The client of this process; it may be used from many threads.

        Raises
        ------
        SettingsError
            There is no region, or the profile does not exist.
        """
        return self.quick_client if self._is_apart else self._of_this_process("plain")

    @property
    def lean_client(self) -> "SQSClient":
        """The same for receives and many sends: parameters are not checked, and answers are read by
        json alone.

        It is :attr:`client` itself where the session is not boto3's: then that decides what a
        client is.
        """
        return self._of_this_process("lean" if self._is_ours else "plain")

    @property
    def client_at_hand(self) -> "SQSClient":
        """:attr:`lean_client`, if that is all there is, else :attr:`client`.

        For calls that they make alike: to make one more takes as long as several calls.
        """
        made = self._made if self._pid == os.getpid() else {}
        return self.lean_client if "lean" in made and "plain" not in made else self.client

    @property
    def quick_client(self) -> "SQSClient":
        """The same with short timeouts, for calls that never wait for a message.

        It is :attr:`client` itself where the session is not boto3's: there may be no network at
        all.
        """
        return self._of_this_process("quick" if self._is_ours else "plain")

    @property
    def _is_ours(self) -> bool:
        """Whether the session leaves it to us how clients are made."""
        import boto3

        own = self.session is None or self.session is boto3
        return own or isinstance(self.session, boto3.session.Session)

    def _of_this_process(self, kind: _Kind) -> "SQSClient":
        if before_unnamed is not None and not self._is_named:
            before_unnamed()
        # A connection that is shared with a parent process would mix up answers after a fork.
        made = self._made if self._pid == os.getpid() else {}
        if kind not in made:
            with self._lock.here:
                if self._pid != os.getpid():
                    self._made, self._root._own_session, self._pid = {}, None, os.getpid()
                made = self._made
                if kind not in made:
                    made[kind] = self._make(kind)
        return made[kind]

    def refused(self) -> None:
        """Access was denied: look for other credentials, where somebody may have written them.

        Credentials that renew themselves are left alone, and so is a session that was given.
        """
        if self.session is not None or self._own_session is None:
            return
        credentials = self._own_session.get_credentials()
        if credentials is None or credentials.method in _FILES:
            with self._lock.here:
                self._made, self._own_session = {}, None

    def credentials_origin(self) -> str:
        """Where boto3 found the credentials, in its words (``env``, ``sso``); never what they are.

        Raises
        ------
        AccessDenied
            There are none, or they cannot be fetched.
        SettingsError
            They have a character that no request can carry.
        """
        keep_secret_variables()
        with service_errors("use the credentials"):
            import boto3
            from botocore.exceptions import NoCredentialsError

            session = self.session
            if not hasattr(session, "get_credentials"):  # none given, or the module boto3
                session = boto3.session.Session(region_name=os.environ.get("AWS_REGION") or None)
            try:
                credentials = session.get_credentials()
                if credentials is None:
                    raise NoCredentialsError
                frozen = credentials.get_frozen_credentials()
            except UnicodeError:  # a ValueError as well
                raise
            except ValueError as error:
                raise no_credentials(error) from None  # it can quote a credential
            check_credentials(frozen, credentials.method, getattr(session, "profile_name", None))
            return str(credentials.method)

    def call_other_service(self, service: str, operation: str, **parameters: Any) -> Any:
        """One call of another service of AWS, with the same session and region.

        Raises
        ------
        AccessDenied
            There are no credentials, or they do not allow the call.
        """
        with service_errors(f"call {service}:{operation}"):
            session, keywords = self._session_and_keywords()
            keywords.pop("endpoint_url", None)  # that of SQS
            return getattr(session.client(service, **keywords), operation)(**parameters)

    def resource(self) -> Any:
        """A new boto3 resource; it may be used from one thread only."""
        session, keywords = self._session_and_keywords()
        return session.resource("sqs", **keywords)

    def _make(self, kind: _Kind) -> "SQSClient":
        from botocore.exceptions import InvalidRegionError

        keep_secret_variables()
        with service_errors("use SQS"):
            session, keywords = self._session_and_keywords()
            # One session for all: its credentials may have cost somebody a code to type.
            session = self._root._own_session = self._root._own_session or session
            if kind != "plain":
                keywords["config"] = keywords["config"].merge(self._own_config(kind))
            try:
                client: SQSClient = session.client("sqs", **keywords)
            except InvalidRegionError:  # a ValueError as well
                raise
            except ValueError as error:  # botocore raises it for an endpoint that is not a URL
                endpoint = self._endpoint_url or endpoint_of_environment()
                raise no_client(error, endpoint) from None  # it can quote a password
            check_address(client.meta.endpoint_url)
            if self._is_ours:
                check_region(client.meta.region_name)
                self._check_credentials(session, client)
        # First: the embedded SQS answers at this event, and then nobody else is asked.
        client.meta.events.register_first("before-send.sqs", self._count)
        if not isinstance(getattr(session, "location", None), str):  # the embedded SQS needs none
            check_answers(client, read=kind != "plain")
        return client

    def _check_credentials(self, session: Any, client: "SQSClient") -> None:
        """Check the credentials now, or before each request if they renew themselves."""
        from botocore.credentials import RefreshableCredentials

        made = session.DEFAULT_SESSION if isinstance(session, ModuleType) else session
        credentials = made.get_credentials()  # botocore has looked them up to make the client
        checked: Any = None

        def check(**_: Any) -> None:
            nonlocal checked
            frozen = credentials.get_frozen_credentials()
            if frozen is not checked:
                check_credentials(frozen, credentials.method, made.profile_name)
                checked = frozen

        if isinstance(credentials, RefreshableCredentials):
            client.meta.events.register("before-sign.sqs", check)
        elif credentials is not None:
            check()

    def _count(self, event_name: str = "", **_: Any) -> None:
        if self._on_request is not None:
            self._on_request(event_name.rpartition(".")[2])

    def _own_config(self, kind: _Kind) -> Any:
        from botocore.config import Config

        config = Config(user_agent=_USER_AGENT, parameter_validation=False)
        if kind == "lean":
            return config
        retries: Any = dict(self._retries)
        retries["max_attempts"] = min(self._retries["max_attempts"], _QUICK_RETRIES)
        return config.merge(
            Config(
                retries=retries,
                connect_timeout=_QUICK_CONNECT_SECONDS,
                read_timeout=_QUICK_ANSWER_SECONDS,
            )
        )

    def _session_and_keywords(self) -> tuple[Any, dict[str, Any]]:
        from botocore.config import Config

        config = Config(
            retries=dict(self._retries),  # type: ignore[arg-type]  # a copy: botocore changes it
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=MAX_WAIT_SECONDS + _ANSWER_SECONDS,
            max_pool_connections=64,
        )
        keywords: dict[str, Any] = {"config": config}
        if self._endpoint_url is not None:
            keywords["endpoint_url"] = self._endpoint_url
        session = self.session
        if session is None:
            import boto3

            session = boto3.session.Session(region_name=os.environ.get("AWS_REGION") or None)
        region = self._region or _region_of_environment(session)
        if region is not None:
            keywords["region_name"] = region
        return session, keywords


def _region_of_environment(session: Any) -> str | None:
    """``AWS_REGION``, unless the code has named a region."""
    # The boto3 module stands for its default session, which somebody may have set up.
    made = session.DEFAULT_SESSION if isinstance(session, ModuleType) else session
    if getattr(made, "region_name", None):
        return None
    return os.environ.get("AWS_REGION") or None
