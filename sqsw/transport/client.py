"""Make each SQS call by the cheapest available route.

1. For a session of the embedded SQS, call its engine directly.
2. For a plain boto3 session, sign and send the call over our own connections (the wire).
3. Otherwise, or if the first attempt was not a plain success, use a boto3 client.
"""

import copy
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from sqsw.core.calls import METHODS, NoAnswerInTime, NotPlain, Unanswered
from sqsw.core.limits import MAX_WAIT_SECONDS
from sqsw.core.process_lock import ProcessLock
from sqsw.core.sendable import (
    check_credentials,
    check_region,
    keep_secret_variables,
    no_credentials,
    region_variable,
)
from sqsw.transport.answers import check_answers
from sqsw.transport.endpoints import check_address, endpoint_of_environment, no_client
from sqsw.transport.handler_check import HandlerCheck
from sqsw.transport.route import (
    Route,
    Way,
    boto3_route,
    botocore_session,
    direct_route,
    plain_wire_route,
    wire_route,
)
from sqsw.transport.service_errors import service_errors

if TYPE_CHECKING:
    from botocore.session import Session
    from types_boto3_sqs.client import SQSClient

#: seconds to wait for an answer beyond a long poll, and seconds to connect. They are short enough
#: that a worker recovers within half a minute after the network does.
_ANSWER_SECONDS, _CONNECT_SECONDS = 8, 5

#: connect timeout, answer timeout and retries for calls that do not wait for messages. They are low
#: because leases run out during these calls, and the callers retry them.
_QUICK_CONNECT_SECONDS, _QUICK_ANSWER_SECONDS, _QUICK_RETRIES = 3, 10, 1

#: credential sources that boto3 reads only once, even if the files change later
_FILES = ("shared-credentials-file", "config-file")

#: values of ``SQSW_WIRE`` that send all calls through botocore
_OFF = ("0", "false", "no", "off")

#: calls that are not repeated after a timeout, because their callers retry them
_NOT_REPEATED = {"ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"}

#: the user agent of our own clients. botocore would rebuild its default for each call, which takes
#: a seventh of the call's time.
_USER_AGENT = "sqsw"

#: ``plain`` is a client as a user would create it. The others are faster: ``lean`` for frequent
#: calls, ``quick`` for frequent calls with short timeouts, ``once`` for the same without retries.
_Kind = Literal["plain", "lean", "quick", "once"]

#: Called before a client is used if only environment variables choose the server. It can raise, so
#: tests can refuse such clients; see :mod:`sqsw.pytest_plugin`.
before_unnamed: Callable[[], object] | None = None


class ClientSource:
    """A source of SQS calls and of the boto3 clients that they need.

    It imports, looks up and connects nothing before the first call, so an application can be
    imported without credentials, a region or a network.

    Parameters
    ----------
    session :
        An object with ``client("sqs", …)``: a boto3 session, the ``boto3`` module or a session of
        the embedded SQS; None creates a boto3 session.
    retry_max_attempts :
        The maximum number of botocore's retries per call.
    retry_mode :
        How botocore retries: ``legacy``, ``standard`` or ``adaptive``.
    endpoint_url :
        The URL of an SQS-compatible server; None lets boto3 choose.
    region :
        The region; None uses ``AWS_REGION`` (which boto3 ignores), then boto3's own choice.
    on_request :
        Called before every request, including botocore's retries, with its action (such as
        ``ReceiveMessage``).
    is_named :
        Whether code chooses the server; False if only environment variables do.
    wire :
        Whether the frequent calls can bypass botocore; ``SQSW_WIRE=0`` also turns this off.
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
        wire: bool = True,
    ) -> None:
        self.session = session
        self._wire = wire
        self._is_named = is_named
        self._on_request = on_request
        self._retries: dict[str, Any] = {"max_attempts": retry_max_attempts, "mode": retry_mode}
        self._endpoint_url = endpoint_url
        self._region = region
        self._lock = ProcessLock()
        self._process = _Process(0)
        self._own_session = _OwnSession()
        self._is_apart = False

    def apart(self) -> "ClientSource":
        """Return a copy for monitoring, with short timeouts and without ``on_request``."""
        other = copy.copy(self)
        other._process, other._on_request = _Process(0), None
        other._is_apart = True
        return other

    # -- calls ------------------------------------------------------------------------------------

    def call(
        self, action: str, params: dict[str, Any], kind: _Kind | None = None
    ) -> dict[str, Any]:
        """Make one of the frequent calls by the cheapest available route.

        Parameters
        ----------
        action :
            One of :data:`~sqsw.core.calls.DIRECT_ACTIONS`.
        params :
            As for boto3.
        kind :
            The boto3 client to use if no cheaper route works; None for :attr:`client_at_hand`.

        Returns
        -------
        dict
            The answer in boto3's form. It has ``ResponseMetadata`` only if a boto3 client made the
            call; its ``RetryAttempts`` then includes the attempt without botocore.

        Raises
        ------
        Exception
            A botocore error. :func:`~sqsw.transport.service_errors.service_errors` converts it.
        """
        process, attempts = self._process_now(), 0
        calls = self._route_of(process).calls
        if calls is not None and process.check.reason is None:
            try:
                return calls.call(action, params)
            except Unanswered as error:
                is_late = isinstance(error, NoAnswerInTime)
                if kind == "once" or (is_late and action in _NOT_REPEATED):
                    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

                    unanswered = ReadTimeoutError if is_late else ConnectionClosedError
                    raise unanswered(endpoint_url=self.endpoint_url, error=error) from error
            except NotPlain:
                pass
            attempts = 1
        if process.check.is_users_client_changed:
            kind = "plain"
        client = self.client_at_hand if kind is None else self._of_kind(kind)
        answer: dict[str, Any] = getattr(client, METHODS[action])(**params)
        if attempts:
            metadata = answer.setdefault("ResponseMetadata", {})
            metadata["RetryAttempts"] = metadata.get("RetryAttempts", 0) + attempts
        return answer

    @property
    def way(self) -> tuple[Way, str | None]:
        """How the frequent calls reach SQS, and why, if boto3 makes them."""
        process = self._process_now()
        route = self._route_of(process)
        reason = route.reason or process.check.reason
        return ("boto3", reason) if reason else (route.way, None)

    @property
    def region(self) -> str:
        """The region of the calls. Raises the errors of :attr:`client`."""
        return self._route_of(self._process_now()).region or self.client_at_hand.meta.region_name

    @property
    def endpoint_url(self) -> str:
        """The URL that all calls go to. Raises the errors of :attr:`client`."""
        route = self._route_of(self._process_now())
        return route.endpoint_url or self.client_at_hand.meta.endpoint_url

    @property
    def embedded(self) -> Any:
        """The :class:`~sqsw.memory_sqs.direct_calls.DirectCalls` of the session; None on AWS."""
        # Look at the class, because a mock instance has every attribute.
        make = getattr(type(self.session), "direct_calls", None)
        if make is None:
            return None
        if self._endpoint_url is not None:
            check_address(self._endpoint_url)
        return make(self.session, self._region, self._endpoint_url, self._tell)

    def _route_of(self, process: "_Process") -> Route:
        route = process.route
        if route is None or not route.is_valid():
            with self._lock.here:
                if process.route is route:
                    process.route = self._find_route(process.check)
                    if route is not None:
                        route.close()
        return process.route or boto3_route("a setting is wrong, or credentials are missing")

    def _find_route(self, check: HandlerCheck) -> Route | None:
        """Return the route for this process, or None to try again at the next call."""
        if not self._wire:
            return boto3_route("SQSEnv(wire=False)")
        variable = os.environ.get("SQSW_WIRE", "")
        if variable.lower() in _OFF:
            return boto3_route(f"SQSW_WIRE={variable}")
        embedded = self.embedded
        if embedded is not None:
            return direct_route(embedded)
        if self._retries["max_attempts"] < 1 or self._retries["mode"] == "adaptive":
            return boto3_route("only botocore supports the configured retries")
        keep_secret_variables()
        region = self._region or _region_of_environment(self.session)
        if self.session is None:
            plain = plain_wire_route(region, self._endpoint_url, self._tell)
            if plain is not None:
                return plain
        from botocore.exceptions import BotoCoreError

        try:
            session = self._botocore_session()
            if session is None:
                return boto3_route("the session is not a plain boto3 session")
            found = wire_route(session, region, self._endpoint_url, self._tell)
        except (BotoCoreError, ValueError, OSError):  # such as unreadable certificates
            return None  # creating a boto3 client raises a clearer error
        check.add(session.get_component("event_emitter"))
        return found

    def _botocore_session(self) -> "Session | None":
        if self.session is not None:
            return botocore_session(self.session)
        return self._own_session.get()

    def _process_now(self) -> "_Process":
        """Return the state of this process. A forked child starts with an empty one."""
        if before_unnamed is not None and not self._is_named:
            before_unnamed()
        process = self._process
        if process.pid != os.getpid():
            with self._lock.here:
                if self._process.pid != os.getpid():
                    self._forget()
                process = self._process
        return process

    def _forget(self) -> None:
        before, self._process = self._process, _Process(os.getpid())
        if before.route is not None:
            before.route.close()

    # -- clients ----------------------------------------------------------------------------------

    @property
    def client(self) -> "SQSClient":
        """The boto3 client of this process. It is thread-safe.

        Raises
        ------
        SettingsError
            No region is set, or the profile does not exist.
        """
        return self._of_kind("quick" if self._is_apart else "plain")

    @property
    def lean_client(self) -> "SQSClient":
        """A client for frequent calls, without parameter validation and with a faster parser.

        If the session is not a boto3 session, this is :attr:`client`, because such a session
        decides how its clients are made.
        """
        return self._of_kind("lean")

    @property
    def client_at_hand(self) -> "SQSClient":
        """:attr:`lean_client` if it exists and a plain client does not, otherwise :attr:`client`.

        Use it for calls that both clients make in the same way: creating another client takes as
        long as several calls.
        """
        made = self._process_now().made
        return self.lean_client if "lean" in made and "plain" not in made else self.client

    @property
    def _is_ours(self) -> bool:
        """Whether we can choose how the clients of this session are made."""
        if self.session is None:
            return True
        boto3: Any = sys.modules.get("boto3")
        return boto3 is not None and (
            self.session is boto3 or isinstance(self.session, boto3.session.Session)
        )

    def _of_kind(self, kind: _Kind) -> "SQSClient":
        process = self._process_now()
        if not self._is_ours:
            kind = "plain"
        made = process.made
        if kind not in made:
            with self._lock.here:
                if kind not in made:
                    made[kind] = self._make(kind, process.check)
        return made[kind]

    def refused(self) -> None:
        """Drop cached credentials after a denied call, because their file can have changed.

        Keeps credentials that renew themselves, and sessions that the user passed.
        """
        session = self._own_session.made
        if self.session is not None or session is None:
            return
        credentials = session.get_credentials()
        if credentials is None or credentials.method in _FILES:
            self._own_session.forget(session)
            with self._lock.here:
                self._forget()

    def credentials_origin(self) -> str:
        """Return boto3's name for the credential source, such as ``env`` or ``sso``.

        Raises
        ------
        AccessDenied
            There are no credentials, or they cannot be fetched.
        SettingsError
            They contain a character that a request cannot contain.
        """
        keep_secret_variables()
        with service_errors("use the credentials"):
            import boto3
            from botocore.exceptions import NoCredentialsError

            session = self.session
            if not hasattr(session, "get_credentials"):  # None, or the module boto3
                session = boto3.session.Session(region_name=region_variable())
            try:
                credentials = session.get_credentials()
                if credentials is None:
                    raise NoCredentialsError
                frozen = credentials.get_frozen_credentials()
            except UnicodeError:  # a ValueError as well
                raise
            except ValueError as error:
                raise no_credentials(error) from None  # the cause can quote a credential
            check_credentials(frozen, credentials.method, getattr(session, "profile_name", None))
            return str(credentials.method)

    def call_other_service(self, service: str, operation: str, **parameters: Any) -> Any:
        """Call another AWS service with the same session and region.

        Raises
        ------
        AccessDenied
            There are no credentials, or they do not allow the call.
        """
        client = self.other_client(service)
        with service_errors(f"call {service}:{operation}"):
            return getattr(client, operation)(**parameters)

    def other_client(self, service: str) -> Any:
        """Return the boto3 client of another AWS service, with the same session and region.

        Each process has its own, and keeps it.

        Raises
        ------
        SettingsError
            No region is set, or the profile does not exist.
        """
        others = self._process_now().others
        if service not in others:
            with self._lock.here:
                if service not in others:
                    others[service] = self._make_other(service)
        return others[service]

    def _make_other(self, service: str) -> Any:
        from botocore.exceptions import InvalidRegionError

        with service_errors(f"use {service}"):
            session, keywords = self._session_and_keywords()
            keywords.pop("endpoint_url", None)  # the SQS endpoint
            try:
                return session.client(service, **keywords)
            except InvalidRegionError:  # a ValueError as well
                raise
            except ValueError as error:  # an endpoint of the environment that is not a URL
                raise no_client(error, None) from None  # the cause can quote a password

    def resource(self) -> Any:
        session, keywords = self._session_and_keywords()
        return session.resource("sqs", **keywords)

    def _make(self, kind: _Kind, check: HandlerCheck) -> "SQSClient":
        from botocore.exceptions import InvalidRegionError

        keep_secret_variables()
        with service_errors("use SQS"):
            session, keywords = self._session_and_keywords()
            if kind != "plain":
                keywords["config"] = keywords["config"].merge(self._own_config(kind))
            try:
                client: SQSClient = session.client("sqs", **keywords)
            except InvalidRegionError:  # a ValueError as well
                raise
            except ValueError as error:  # botocore raises it for an endpoint that is not a URL
                endpoint = self._endpoint_url or endpoint_of_environment()
                raise no_client(error, endpoint) from None  # the cause can quote a password
            check_address(client.meta.endpoint_url)
            if self._is_ours:
                check_region(client.meta.region_name)
                self._check_credentials(session, client)
        # Register this first: the embedded SQS answers at this event and stops later handlers.
        client.meta.events.register_first(
            "before-send.sqs", lambda event_name, **_: self._tell(event_name.rpartition(".")[2])
        )
        if not isinstance(getattr(session, "location", None), str):  # not embedded
            check_answers(client, read=kind != "plain")
        if kind == "plain":
            check.add_users_client(client)
        else:
            check.add(client.meta.events)
        return client

    def _check_credentials(self, session: Any, client: "SQSClient") -> None:
        """Check the credentials now, or before each request if they are refreshable."""
        from botocore.credentials import RefreshableCredentials

        made = session.DEFAULT_SESSION if isinstance(session, ModuleType) else session
        credentials = made.get_credentials()  # already looked up by botocore
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

    def _tell(self, action: str) -> None:
        if self._on_request is not None:
            self._on_request(action)

    def _own_config(self, kind: _Kind) -> Any:
        from botocore.config import Config

        config = Config(user_agent=_USER_AGENT, parameter_validation=False)
        if kind == "lean":
            return config
        retries: Any = dict(self._retries)
        most = 0 if kind == "once" else _QUICK_RETRIES
        retries["max_attempts"] = min(self._retries["max_attempts"], most)
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

            session = boto3.session.Session(botocore_session=self._botocore_session())
            check_region(session.region_name or "")  # before botocore logs it
        region = self._region or _region_of_environment(session)
        if region is not None:
            keywords["region_name"] = region
        return session, keywords


class _Process:
    """The clients and the route of one process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.made: dict[_Kind, SQSClient] = {}
        #: clients of other AWS services
        self.others: dict[str, Any] = {}
        self.check = HandlerCheck()
        self.route: Route | None = None


class _OwnSession:
    """The botocore session of a source that was created without one; one per process.

    Copies of the source share it, so an MFA code has to be typed only once.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._pid = 0
        self._session: Session | None = None

    @property
    def made(self) -> "Session | None":
        """The session, if this process has created one."""
        return self._session if self._pid == os.getpid() else None

    def get(self) -> "Session":
        """Return the session; create it at the first call."""
        from botocore.session import Session

        with self._lock.here:
            if self._session is None or self._pid != os.getpid():
                region = region_variable()
                self._pid, self._session = os.getpid(), Session()
                if "AWS_REGION" in os.environ:
                    self._session.set_config_variable("region", region)
            return self._session

    def forget(self, session: "Session") -> None:
        """Drop this session, unless another thread has already replaced it."""
        with self._lock.here:
            if self._session is session:
                self._session = None


def _region_of_environment(session: Any) -> str | None:
    """Return ``AWS_REGION``, or None if the session has a region."""
    # The boto3 module uses its default session, which code can have set up.
    made = session.DEFAULT_SESSION if isinstance(session, ModuleType) else session
    if getattr(made, "region_name", None):
        return None
    return region_variable()
