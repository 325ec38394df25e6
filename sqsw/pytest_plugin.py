"""Fixtures for the tests of applications.

pytest loads this module for every project in an environment with sqsw, so it imports sqsw only
inside the fixtures.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from sqsw.memory_sqs import MemorySession
    from sqsw.memory_sqs.endpoint import Endpoint
    from sqsw.registry import TaskRegistry
    from sqsw.sqs_env import SQSEnv

#: the region of the queues: a real AWS region, because tests can use clients of other services
REGION = "us-east-1"

#: variables that choose another server, or that boto3 does not accept together with an endpoint
_ELSEWHERE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)

_PORT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``sqsw_app``."""
    parser.addini("sqsw_app", "the app of the fixture sqs_env, as module:attribute")


@dataclass(frozen=True)
class SQSServer:
    """The value of the fixture ``sqs_server``.

    Attributes
    ----------
    url :
        The endpoint URL.
    session :
        The same queues without HTTP.
    """

    url: str
    session: "MemorySession"

    @property
    def clock(self) -> Any:
        """The clock of the queues; ``sqs_server.clock.advance(minutes=20)`` moves it."""
        return self.session.clock


@pytest.fixture
def _sqsw_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Without ``sqsw_app``, refuse environments that only variables connect to a server."""
    from sqsw.core.errors import SettingsError
    from sqsw.transport import client

    def refuse() -> None:
        if "sqs_server" not in request.fixturenames:  # which has set these variables
            raise SettingsError(
                "this SQSEnv does not come from the fixture sqs_env",
                why="sqsw_app is not set, so your app's jobs would go to AWS or a local file",
                next='add to [tool.pytest.ini_options]: sqsw_app = "bakery.jobs:env"',
            )

    with pytest.MonkeyPatch.context() as patch:
        if not request.config.getini("sqsw_app"):
            patch.setattr(client, "before_unnamed", refuse)
        yield


@pytest.fixture
def sqs_session(_sqsw_guard: None) -> "Iterator[MemorySession]":
    """A new, empty in-memory SQS for each test, usable as a boto3 session."""
    from sqsw.memory_sqs import MemorySession

    session = MemorySession(region_name=REGION)
    yield session
    session.close()


@pytest.fixture
def sqs_env(
    _sqsw_guard: None, sqs_session: "MemorySession", pytestconfig: pytest.Config
) -> "Iterator[SQSEnv]":
    """The environment of the app in ``sqsw_app``, or a new one, connected to ``sqs_session``.

    If the app names a parking queue, this creates it.
    """
    from sqsw.sqs_env import SQSEnv

    app_path = pytestconfig.getini("sqsw_app")
    env, registries = _parts_of(app_path) if app_path else (None, [])
    # A new environment keeps the closed session, so late sends of a thread go nowhere else.
    env = env or SQSEnv(sqs_session)
    with env.connected_to(session=sqs_session):
        for registry in registries:
            registry.bind(env)
        if env.parking_queue is not None:  # no job names it, so a test might forget it
            from sqsw.sqs_manage.create import create_parking_queue

            create_parking_queue(env, env.parking_queue)
        yield env


def _parts_of(app_path: str) -> "tuple[SQSEnv | None, list[TaskRegistry]]":
    """Return the app of ``sqsw_app``; errors mention this option."""
    from sqsw.app.loading import load_parts
    from sqsw.core.errors import AppLoadError

    try:
        return load_parts(app_path)
    except AppLoadError as error:
        cure = "fix the app, or the pytest option sqsw_app"
        if error.meant is not None:
            cure = f"in the pytest configuration, set sqsw_app = {error.meant}"
        raise AppLoadError(error.message, why=error.why, next=cure) from error.__cause__


@pytest.fixture(scope="module")
def _sqsw_endpoint(pytestconfig: pytest.Config) -> "Iterator[Endpoint]":
    # Use one address for all tests, because an application can keep the client from the first one.
    # Leave no idle thread, because tests of other modules can fork.
    from sqsw.memory_sqs.endpoint import Endpoint

    endpoint = Endpoint(REGION, pytestconfig.stash.get(_PORT, 0))
    pytestconfig.stash[_PORT] = endpoint.port
    yield endpoint
    endpoint.close()


@pytest.fixture
def sqs_server(sqs_session: "MemorySession", _sqsw_endpoint: "Endpoint") -> Iterator[SQSServer]:
    """``sqs_session`` over HTTP. boto3 and the aws command use it, also in child processes."""
    url = _sqsw_endpoint.url
    with _sqsw_endpoint.showing(sqs_session), pytest.MonkeyPatch.context() as environment:
        for name, value in _variables(url, sqs_session.region_name).items():
            environment.setenv(name, value)
        for name in _ELSEWHERE:
            environment.delenv(name, raising=False)
        yield SQSServer(url, sqs_session)


def _variables(url: str, region_name: str) -> dict[str, str]:
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    no_proxy = ",".join(filter(None, (direct, urlsplit(url).hostname)))
    return {
        "AWS_ENDPOINT_URL_SQS": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": region_name,
        "AWS_DEFAULT_REGION": region_name,
        "SQSW_LOCAL": "0",
        "no_proxy": no_proxy,
        "NO_PROXY": no_proxy,
    }
