"""Fixtures for all tests; backends.py has the backends themselves."""

import functools
import gc
import json
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import settings

from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.sqs_env import SQSEnv
from tests.backends import Backend, Clock, make_backends
from tests.rules import RuleCount

# A slow machine must not fail a test.
settings.register_profile("sqsw", deadline=None, max_examples=60)
settings.register_profile("long", deadline=None, max_examples=2_000)
settings.load_profile("sqsw")  # the option --hypothesis-profile comes later and wins

# All sessions share one copy of botocore's data files. Creating a session and a client then takes
# 0.02 s instead of 0.14 s.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

NAMES = ("memory", "file", "served", "moto", "elasticmq")
#: backends whose frequent calls bypass botocore, for the rules of these calls
BYPASSED = ("memory_direct", "served_wire")
#: the same, for rules that are worth more time
MORE_BYPASSED = ("file_direct", "moto_wire", "elasticmq_wire")
#: files of tests/conformance that run on the former, and those that run on the latter too
FREQUENT_CALLS = {
    *("batch_requests", "deduplication", "delay", "digests", "errors", "fifo_ordering", "limits"),
    *("long_polling", "receipt_handles", "receive_attempts", "redrive", "system_attributes"),
    "visibility_timeout",
}
MAIN_RULES = {"batch_entries", "message_attributes", "send_receive"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        choices=[*NAMES, *BYPASSED, *MORE_BYPASSED, "aws"],
        help="run against this SQS only; may be repeated (aws runs only when asked for)",
    )
    parser.addoption(
        "--rules",
        action="store_true",
        help="at the end, count the rules of SQS that each backend keeps (tests/conformance)",
    )


def _expression(config: pytest.Config) -> str:
    return str(config.getoption("keyword") or "")


def pytest_configure(config: pytest.Config) -> None:
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            # Shells and nohup start background processes like that, and their children inherit it.
            signal.signal(number, handler)
    config.stash[BACKENDS] = make_backends("localstack" in _expression(config))
    if config.getoption("rules"):
        config.pluginmanager.register(RuleCount())


BACKENDS = pytest.StashKey[dict[str, Backend]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" not in metafunc.fixturenames:
        return
    folder, _, file = metafunc.module.__name__.partition("conformance.test_")
    possible = list(NAMES)
    if folder == "tests." and file in FREQUENT_CALLS | MAIN_RULES:
        possible += BYPASSED
    if folder == "tests." and file in MAIN_RULES:
        possible += MORE_BYPASSED
    asked = metafunc.config.getoption("backend") or possible
    chosen = [name for name in asked if name in (*possible, "aws")]
    if "aws" in _expression(metafunc.config).split():
        chosen = [*chosen, "aws"]
    backends = metafunc.config.stash[BACKENDS]
    definition = metafunc.definition
    if definition.get_closest_marker("over_http"):
        chosen = [name for name in chosen if backends[name].is_server]
    if definition.get_closest_marker("moves_clock"):
        chosen = [name for name in chosen if backends[name].moves_clock]
    parameters = []
    for name in dict.fromkeys(chosen):
        # The README of sqs-workers uses `pytest -k localstack` for its test server.
        marks = [pytest.mark.localstack] if name.startswith("elasticmq") else []
        parameters.append(pytest.param(name, id=name, marks=marks))
    if not parameters:
        marks = [pytest.mark.skip(reason="none of the selected backends can run it")]
        parameters.append(pytest.param(None, id="none", marks=marks))
    metafunc.parametrize("backend", parameters, indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark known differences as expected failures: a whole test, or some rows of its table."""
    call = getattr(item, "callspec", None)
    if call is None:
        return
    name = str(call.params.get("backend"))
    kind = name.partition("_")[0]
    for known in item.iter_markers("known_difference"):
        reason = known.kwargs.get(name, known.kwargs.get(kind))
        if isinstance(reason, dict):
            row = call.id.removeprefix(f"{name}-").removesuffix(f"-{name}")
            reason = next((why for why, rows in reason.items() if row in rows), None)
        if reason:
            mark = pytest.mark.xfail(
                reason=f"{name}: {reason}",
                strict=not reason.startswith("sometimes "),  # it can pass by chance
                run=not reason.startswith("hangs "),
            )
            item.add_marker(mark)


def pytest_collection_finish() -> None:
    """Keep garbage collections from scanning the thousands of tests again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Return a directory with a short path, so that the sockets of a file are next to it."""
    with tempfile.TemporaryDirectory(prefix="sqsw-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def started_backends(pytestconfig: pytest.Config) -> Iterator[dict[str, Backend]]:
    """Return all backends; stop those that were started at the end of the run."""
    backends = pytestconfig.stash[BACKENDS]
    yield backends
    for backend in backends.values():
        backend.stop()


@pytest.fixture
def backend(request: pytest.FixtureRequest, started_backends: dict[str, Backend]) -> Backend:
    """Return the running SQS of this test."""
    found = started_backends[request.param]
    found.start()
    return found


@pytest.fixture(autouse=True)
def nothing_from_outside(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Hide the variables and the cache of the user who runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    if "aws" in request.node.name:
        return
    for name in (
        "SQSW_LOCAL",
        "SQSW_QUEUE_PREFIX",
        "SQSW_CONFIG",
        "SQSW_APP",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "NO_COLOR",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")


@pytest.fixture
def session(backend: Backend, tmp_path: Path) -> Iterator[Any]:
    """Return a session on the SQS of this test."""
    made = backend.session(tmp_path)
    yield made
    if isinstance(made, MemorySession | LocalSession):
        made.close()


@pytest.fixture
def clock(backend: Backend, session: Any) -> Clock:
    """Return the clock, which lets time pass."""
    return backend.clock(session)


@pytest.fixture
def client(backend: Backend, session: Any) -> Any:
    """Return a client on the SQS of this test: boto3's, or one that bypasses botocore."""
    return backend.client(session)


@pytest.fixture
def env(session: Any) -> SQSEnv:
    """Return an environment with its own queues."""
    return SQSEnv(session, queue_prefix=f"t{uuid.uuid4().hex[:12]}_")


@pytest.fixture
def queue_name() -> str:
    """Return a name that no queue has had before."""
    return f"q-{uuid.uuid4().hex[:16]}"


@pytest.fixture
def fifo_queue_name() -> str:
    """Return the name of a FIFO queue that no queue has had before."""
    return f"q-{uuid.uuid4().hex[:16]}.fifo"


@pytest.fixture
def make_queue(client: Any) -> Callable[..., str]:
    """Create queues: ``make_queue(name=None, fifo=False, **attributes)`` returns the URL."""

    def make(name: str | None = None, fifo: bool = False, **attributes: Any) -> str:
        if fifo:
            attributes["FifoQueue"] = "true"
        texts = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in attributes.items()
        }
        name = name or f"q-{uuid.uuid4().hex[:16]}{'.fifo' if fifo else ''}"
        url: str = client.create_queue(QueueName=name, Attributes=texts)["QueueUrl"]
        return url

    return make


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of processes for ``-n auto``: most tests wait, and few need the CPU."""
    # All of them share one server at a fixed address. The process that started it stops it.
    return 1 if "localstack" in _expression(config) else 4
