"""Wire connections of real processes, threads and TLS."""

import ipaddress
import os
import signal
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sqsw.core.errors import ConnectionFailed, SQSError
from sqsw.transport.client import ClientSource
from sqsw.transport.queue_client import QueueClient
from tests.backends import wait_until
from tests.fault_proxy import proxying
from tests.life.serving import plain_variables
from tests.life.serving import serving as serving_sqs
from tests.unit.transport.wire.scripted_server import queue_for, serving, source_for

THREADS, SENDS = 32, 25


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for one name, and a file for clients that trust it."""

    context: ssl.SSLContext
    path: Path


def certificate_for(name: str, folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    try:
        named: Any = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        named = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return Certificate(context, path)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """Return a certificate for 127.0.0.1 that this process trusts."""
    found = certificate_for("127.0.0.1", tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(found.path))
    return found


def test_calls_over_tls(trusted: Certificate) -> None:
    with serving(tls=trusted.context) as server:
        queue = queue_for(source_for(server.url))
        for _ in range(3):
            assert "ResponseMetadata" not in queue.send({"MessageBody": "x"})
        assert {request.connection for request in server.requests} == {0}


@pytest.mark.parametrize("flaw", ["an unknown issuer", "another host"])
def test_the_wire_and_botocore_refuse_an_untrusted_certificate(
    flaw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    if flaw == "another host":
        shown = certificate_for("sqs.example", tmp_path)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(shown.path))
    else:
        shown = certificate_for("127.0.0.1", tmp_path)
    with serving(tls=shown.context) as server:
        queue = queue_for(source_for(server.url))
        with pytest.raises(ConnectionFailed, match="SSL validation failed") as caught:
            queue.send({"MessageBody": "x"})
        assert caught.value.next
        # The wire and botocore both tried, and neither sent a byte of a request.
        assert server.accepted >= 2
        assert (server.requests, server.rest) == ([], b"")


SEND_WITHOUT_BOTOCORE = """
import sys
from sqsw.sqs_env import SQSEnv

SQSEnv().queue_client("jobs").send({"MessageBody": "x"})
assert "botocore" not in sys.modules
"""


@pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="the system settings of macOS can have proxies"
)
@pytest.mark.parametrize("source", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "certifi"])
@pytest.mark.parametrize("is_trusted", [True, False], ids=["trusted", "not trusted"])
def test_a_process_without_botocore_checks_certificates(
    source: str, is_trusted: bool, tmp_path: Path
) -> None:
    # A certificate for another host is not trusted.
    shown = certificate_for("127.0.0.1" if is_trusted else "sqs.example", tmp_path)
    with serving(tls=shown.context) as server:
        variables = plain_variables(tmp_path, server.url)
        if source == "certifi":
            variables.pop("REQUESTS_CA_BUNDLE", None)
            (tmp_path / "certifi.py").write_text(f"def where(): return {str(shown.path)!r}")
            variables["PYTHONPATH"] = os.pathsep.join([str(tmp_path), variables["PYTHONPATH"]])
        else:
            variables[source] = str(shown.path)
        program = [sys.executable, "-c", SEND_WITHOUT_BOTOCORE]
        done = subprocess.run(
            program, env=variables, capture_output=True, text=True, timeout=60, check=False
        )
        if is_trusted:
            assert done.returncode == 0, done.stderr
            assert [request.action for request in server.requests] == ["GetQueueUrl", "SendMessage"]
        else:
            assert "SSL validation failed" in done.stderr
            assert (server.requests, server.rest) == ([], b"")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_a_forked_process_opens_its_own_connections(trusted: Certificate, is_tls: bool) -> None:
    with serving(tls=trusted.context if is_tls else None) as server:
        queue = queue_for(source_for(server.url))
        with ThreadPoolExecutor(4) as pool:  # some idle connections
            list(pool.map(lambda _: queue.send({"MessageBody": "before"}), range(40)))
        owned = {request.connection for request in server.requests}
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(20)
                for _ in range(3):
                    if "ResponseMetadata" in queue.send({"MessageBody": "child"}):
                        os._exit(1)
                os._exit(0)
            finally:
                os._exit(2)
        for _ in range(3):
            assert "ResponseMetadata" not in queue.send({"MessageBody": "parent"})
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        # The end of the child did not close them either. With TLS, it could have sent a close
        # message.
        for _ in range(3):
            assert "ResponseMetadata" not in queue.send({"MessageBody": "parent"})
        used: dict[str, set[int]] = {"parent": set(), "child": set(), "before": set()}
        for request in server.requests:
            assert not request.is_of_botocore
            (who,) = (who for who in used if who.encode() in request.body)
            used[who].add(request.connection)
        assert len(used["child"]) == 1
        assert not used["child"] & owned
        assert used["parent"] <= owned
        assert server.rest == b""


@pytest.fixture
def served() -> Iterator[QueueClient]:
    """Return wire calls on a queue of our server."""
    with serving_sqs("--memory") as running:
        url = running.client().create_queue(QueueName="jobs")["QueueUrl"]
        session = boto3.session.Session("local", "local", region_name="local")
        source = ClientSource(session, endpoint_url=running.url)
        assert source.way == ("wire", None)
        yield QueueClient(source, "jobs", "jobs", url)


def test_many_threads_send_every_message_once(served: QueueClient) -> None:
    def send(thread: int) -> None:
        for number in range(SENDS):
            answer = served.send({"MessageBody": f"{thread}-{number}"})
            assert "ResponseMetadata" not in answer  # over the wire, at the first attempt

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(send, range(THREADS)))
    received: Counter[str] = Counter()
    while messages := served.receive(10, visibility_timeout=600):
        received.update(message.body for message in messages)
        assert served.delete_batch(messages) == []
    assert received == Counter({f"{t}-{n}": 1 for t in range(THREADS) for n in range(SENDS)})


@pytest.mark.parametrize("wire", [True, False], ids=["wire", "boto3"])
def test_random_faults_lose_no_message(wire: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    bodies = [str(number) for number in range(100)]
    with serving_sqs("--memory") as running, proxying(running.port) as proxy:
        url = running.client().create_queue(QueueName="jobs")["QueueUrl"]
        session = boto3.session.Session("local", "local", region_name="local")
        source = ClientSource(session, endpoint_url=proxy.url, wire=wire)
        queue = QueueClient(source, "jobs", "jobs", url)
        proxy.be("mix 0.3")  # throttled, refused, or cut before, within or after the answer
        for body in bodies:
            wait_until(partial(sends, queue, body), what="a send")
        received: set[str] = set()

        def take() -> bool:
            with suppress(SQSError):  # messages of a lost answer come back after a second
                messages = queue.receive(10, visibility_timeout=1)
                received.update(message.body for message in messages)
                queue.delete_batch(messages)
            return received == set(bodies)

        wait_until(take, what="all messages")
        assert source.way[0] == ("wire" if wire else "boto3")


def sends(queue: QueueClient, body: str) -> bool:
    """Return whether SQS confirmed the message."""
    with suppress(SQSError):
        queue.send({"MessageBody": body})
        return True
    return False
