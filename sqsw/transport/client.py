"""Make the calls of SQS, each in the cheapest way that is possible.

1. For a session on the embedded SQS, call its engine directly.
2. For a plain boto3 session, sign and send the call over the wire.
3. Otherwise, or if the first attempt was not a plain success, use a boto3 client.
"""

import copy
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from sqsw.core.calls import METHODS, NoAnswerInTime, NotPlain
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

#: seconds that an answer can take beyond a long poll before the connection counts as dead, and
#: seconds to connect: a worker must work again within half a minute after the network does
_ANSWER_SECONDS, _CONNECT_SECONDS = 8, 5

#: seconds to connect and to get an answer, and retries, of calls that never wait for a message: the
#: leases of their callers run out meanwhile, and the callers try again themselves
_QUICK_CONNECT_SECONDS, _QUICK_ANSWER_SECONDS, _QUICK_RETRIES = 3, 10, 1

#: credential sources that boto3 reads only once, even if the files change later
_FILES = ("shared-credentials-file", "config-file")

#: values of ``SQSW_WIRE`` that turn off the ways around botocore
_OFF = ("0", "false", "no", "off")

#: calls that are not repeated if no answer arrives in time: their callers try again themselves
_NOT_REPEATED = {"ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"}

#: the user agent of our own clients; botocore builds its own text again for each call, which takes
#: a seventh of the time of the call
_USER_AGENT = "sqsw"

#: ``plain``: a client as a user would make it. The others take less time for each call: ``lean``
#: for frequent calls, ``quick`` for frequent calls that need a fast answer.
_Kind = Literal["plain", "lean", "quick"]

#: Called before a client is used if only environment variables say where the queues are; it can
#: raise. It lets tests refuse such clients; see :mod:`sqsw.pytest_plugin`.
before_unnamed: Callable[[], object] | None = None


class ClientSource:
    """Makes the calls of SQS, and the boto3 clients that they need.

    Nothing is imported, looked up or connected before the first call, so an application can be
    imported without credentials, region or network.

    Parameters
    ----------
    session :
        An object with ``client("sqs", …)``: a boto3 session, the ``boto3`` module or a session on
        the embedded SQS; None for a new boto3 session.
    retry_max_attempts :
        How often botocore retries one call.
    retry_mode :
        How botocore retries: ``legacy``, ``standard`` or ``adaptive``.
    endpoint_url :
        Another SQS-compatible endpoint; None: boto3 chooses.
    region :
        The region; None: ``AWS_REGION`` (which boto3 ignores) or else boto3's own choice.
    on_request :
        Called with the action (``ReceiveMessage`` …) of every request that is about to be sent,
        including botocore's retries.
    is_named :
        Whether code says where the queues are; False if only environment variables do.
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
        """Return a copy with short timeouts that does not report requests: for monitoring."""
        other = copy.copy(self)
        other._process, other._on_request = _Process(0), None
        other._is_apart = True
        return other

    # -- calls ------------------------------------------------------------------------------------

    def call(
        self, action: str, params: dict[str, Any], kind: _Kind | None = None
    ) -> dict[str, Any]:
        """Make one of the frequent calls, in the cheapest way that is possible.

        Parameters
        ----------
        action :
            One of :data:`~sqsw.core.calls.DIRECT_ACTIONS`.
        params :
            As for boto3.
        kind :
            Which boto3 client makes the call if no cheaper way can; None for
            :attr:`client_at_hand`.

        Returns
        -------
        dict
            The answer, as from boto3. It has ``ResponseMetadata`` only if a boto3 client made the
            call; its ``RetryAttempts`` then includes the attempt without botocore.

        Raises
        ------
        Exception
            Errors of botocore; :func:`~sqsw.transport.service_errors.service_errors` converts
            them.
        """
        process, attempts = self._process_now(), 0
        calls = self._route_of(process).calls
        if calls is not None and process.check.reason is None:
            try:
                return calls.call(action, params)
            except NotPlain as error:
                if isinstance(error, NoAnswerInTime) and action in _NOT_REPEATED:
                    from botocore.exceptions import ReadTimeoutError

                    raise ReadTimeoutError(endpoint_url=self.endpoint_url, error=error) from error
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
        """How the frequent calls reach SQS, and the reason if boto3 makes them."""
        process = self._process_now()
        route = self._route_of(process)
        reason = route.reason or process.check.reason
        return ("boto3", reason) if reason else (route.way, None)

    @property
    def region(self) -> str:
        """The region of the calls; raises as :attr:`client` does."""
        return self._route_of(self._process_now()).region or self.client_at_hand.meta.region_name

    @property
    def endpoint_url(self) -> str:
        """The address that all calls go to; raises as :attr:`client` does."""
        route = self._route_of(self._process_now())
        return route.endpoint_url or self.client_at_hand.meta.endpoint_url

    @property
    def embedded(self) -> Any:
        """The :class:`~sqsw.memory_sqs.direct_calls.DirectCalls` of the session; None on AWS."""
        # Of the class: a mock has every attribute.
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
        return process.route or boto3_route("the settings are wrong, or there is no access")

    def _find_route(self, check: HandlerCheck) -> Route | None:
        """Find the way for this process; None: try again at the next call."""
        if not self._wire:
            return boto3_route("SQSEnv(wire=False)")
        variable = os.environ.get("SQSW_WIRE", "")
        if variable.lower() in _OFF:
            return boto3_route(f"SQSW_WIRE={variable}")
        embedded = self.embedded
        if embedded is not None:
            return direct_route(embedded)
        if self._retries["max_attempts"] < 1 or self._retries["mode"] == "adaptive":
            return boto3_route("only botocore can retry as configured")
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
        except (BotoCoreError, ValueError, OSError):  # such as certificates that cannot be read
            return None  # the error of a client is clearer
        check.add(session.get_component("event_emitter"))
        return found

    def _botocore_session(self) -> "Session | None":
        if self.session is not None:
            return botocore_session(self.session)
        return self._own_session.get()

    def _process_now(self) -> "_Process":
        """Return what this process has made; after a fork, nothing of the parent is used."""
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
        """The client of this process; it can be used from many threads.

        Raises
        ------
        SettingsError
            There is no region, or the profile does not exist.
        """
        return self._of_kind("quick" if self._is_apart else "plain")

    @property
    def lean_client(self) -> "SQSClient":
        """A client for receives and many sends: it does not check parameters, and ``json`` reads
        the answers.

        It is :attr:`client` itself if the session is not a boto3 session: such a session decides
        how its clients are made.
        """
        return self._of_kind("lean")

    @property
    def client_at_hand(self) -> "SQSClient":
        """:attr:`lean_client` if only that one exists, otherwise :attr:`client`.

        For calls that both make alike: to make another client takes as long as several calls.
        """
        made = self._process_now().made
        return self.lean_client if "lean" in made and "plain" not in made else self.client

    @property
    def _is_ours(self) -> bool:
        """Whether we decide how the clients of this session are made."""
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
        """Access was denied: forget credentials from files, because the files may have changed.

        Credentials that renew themselves are kept, and so is a session that the user passed.
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
        """Return boto3's name for the source of the credentials, such as ``env`` or ``sso``.

        Raises
        ------
        AccessDenied
            There are no credentials, or they cannot be fetched.
        SettingsError
            They have a character that a request cannot contain.
        """
        keep_secret_variables()
        with service_errors("use the credentials"):
            import boto3
            from botocore.exceptions import NoCredentialsError

            session = self.session
            if not hasattr(session, "get_credentials"):  # None, or the module boto3
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
        """Call another AWS service, with the same session and region.

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
                raise no_client(error, endpoint) from None  # it can quote a password
            check_address(client.meta.endpoint_url)
            if self._is_ours:
                check_region(client.meta.region_name)
                self._check_credentials(session, client)
        # Registered first: the embedded SQS answers at this event, and no later handler is called.
        client.meta.events.register_first(
            "before-send.sqs", lambda event_name, **_: self._tell(event_name.rpartition(".")[2])
        )
        if not isinstance(getattr(session, "location", None), str):  # the embedded SQS needs none
            check_answers(client, read=kind != "plain")
        if kind == "plain":
            check.add_users_client(client)
        else:
            check.add(client.meta.events)
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

    def _tell(self, action: str) -> None:
        if self._on_request is not None:
            self._on_request(action)

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

            session = boto3.session.Session(botocore_session=self._botocore_session())
        region = self._region or _region_of_environment(session)
        if region is not None:
            keywords["region_name"] = region
        return session, keywords


class _Process:
    """What one process has made: its clients, and the way of its frequent calls."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.made: dict[_Kind, SQSClient] = {}
        self.check = HandlerCheck()
        self.route: Route | None = None


class _OwnSession:
    """The botocore session of a source that was given none, one for each process.

    Copies of the source share it: a person may have typed an MFA code for its credentials.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._pid = 0
        self._session: Session | None = None

    @property
    def made(self) -> "Session | None":
        """The session, if this process has made it."""
        return self._session if self._pid == os.getpid() else None

    def get(self) -> "Session":
        """Return the session; make it at the first call."""
        from botocore.session import Session

        with self._lock.here:
            if self._session is None or self._pid != os.getpid():
                self._pid, self._session = os.getpid(), Session()
                if "AWS_REGION" in os.environ:
                    region = os.environ["AWS_REGION"] or None
                    self._session.set_config_variable("region", region)
            return self._session

    def forget(self, session: "Session") -> None:
        """Forget this session, unless another thread has made a new one."""
        with self._lock.here:
            if self._session is session:
                self._session = None


def _region_of_environment(session: Any) -> str | None:
    """Return ``AWS_REGION``, or None if code has set a region."""
    # The boto3 module stands for its default session, which code may have set up.
    made = session.DEFAULT_SESSION if isinstance(session, ModuleType) else session
    if getattr(made, "region_name", None):
        return None
    return os.environ.get("AWS_REGION") or None
