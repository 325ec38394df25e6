"""A web page that a developer visits cannot use the servers on the developer's machine."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError

from tests.life.serving import Serving, read_answer, serving

EVIL = "http://evil.example"
PATH = "/000000000000/jobs"
CHROME = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0"}
CROSS = {**CHROME, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
CALLS = [
    {"Action": "SendMessage", "MessageBody": "injected"},
    {"Action": "PurgeQueue"},
    {"Action": "DeleteQueue"},
    {"Action": "SetQueueAttributes", "Attribute.Name": "DelaySeconds", "Attribute.Value": "9"},
    {"Action": "ReceiveMessage"},
    {"Action": "ListQueueTags"},
]
#: The headers that a browser adds to a request of a page, for each kind that needs no preflight.
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "form": (
        "POST",
        {**CROSS, "Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded"},
    ),
    "multipart form": (
        "POST",
        {**CROSS, "Origin": EVIL, "Content-Type": "multipart/form-data; boundary=x"},
    ),
    "event source": ("GET", {**CROSS, "Accept": "text/event-stream"}),
    "text": ("POST", {**CROSS, "Origin": EVIL, "Content-Type": "text/plain"}),
    "sandboxed frame": ("POST", {"Origin": "null", "Content-Type": "text/plain"}),
    "browser of 2018": ("POST", {"Origin": EVIL}),
    "app on another port": ("POST", {**CROSS, "Sec-Fetch-Site": "same-site"}),
    "referer alone": ("POST", {"Referer": f"{EVIL}/"}),
    "rebound name": (
        "POST",
        {**CHROME, "Host": "rebound.evil.example", "Sec-Fetch-Site": "same-origin"},
    ),
    "image": ("GET", {**CROSS, "Accept": "image/avif,image/webp,*/*;q=0.8"}),
    "link": ("GET", {**CHROME, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
    "websocket": (
        "GET",
        {
            "Origin": EVIL,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "eA==",
        },
    ),
    "rebound image": ("GET", {"Host": "rebound.evil.example:1"}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving(
        "--memory", "--allow-host", "sqs", "--allow-host", "host.docker.internal"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Serving) -> Any:
    made = server.client()
    url = made.create_queue(QueueName="jobs")["QueueUrl"]
    made.send_message(QueueUrl=url, MessageBody="secret")
    return made


def ask(
    server: Serving, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, str]:
    """Return the status and the whole answer."""
    lines = {"Host": f"127.0.0.1:{server.port}", **headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with server.connect(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body) as connection:
        # An answer to HEAD has no body.
        data = connection.recv(65536) if method == "HEAD" else read_answer(connection)
        answer = data.decode()
    return int(answer.split()[1]), answer


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["Action"])
def test_no_call_from_a_web_page_is_accepted(
    server: Serving, client: Any, page: str, call: dict[str, str]
) -> None:
    method, headers = PAGES[page]
    form = urlencode(call)
    if method == "GET":
        status, answer = ask(server, method, f"{PATH}?{form}", headers)
    else:
        status, answer = ask(server, method, PATH, headers, form.encode())
    assert status == 403
    assert "<Code>AccessDenied</Code>" in answer
    assert "secret" not in answer
    assert "access-control-allow" not in answer.lower()
    shown = client.get_queue_attributes(QueueUrl="jobs", AttributeNames=["All"])["Attributes"]
    assert shown["ApproximateNumberOfMessages"] == "1"
    assert shown["DelaySeconds"] == "0"


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", PATH, "/other"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT"])
def test_every_path_and_method_refuses_web_pages(server: Serving, method: str, path: str) -> None:
    preflight = {"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else {}
    for headers in ({"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        status, answer = ask(server, method, path, {**headers, **preflight, "Connection": "close"})
        assert status == 403
        assert "access-control" not in answer.lower()


@pytest.mark.parametrize(
    "headers",
    [
        CHROME,
        {"Sec-Fetch-Site": "none"},
        {"Cookie": "a=b"},
        {"Referer": "http://127.0.0.1:{port}/"},
    ],
    ids=str,
)
def test_a_get_from_a_browser_changes_nothing(
    server: Serving, client: Any, headers: dict[str, str]
) -> None:
    """An image from an address that is not loopback sends only User-Agent."""
    headers = {name: value.format(port=server.port) for name, value in headers.items()}
    assert ask(server, "GET", f"{PATH}?Action=ListQueueTags", headers)[0] == 200
    assert ask(server, "GET", "/metrics", headers)[0] == 200
    for call in CALLS[:-1]:
        status, answer = ask(server, "GET", f"{PATH}?{urlencode(call)}", headers)
        assert status == 403
        assert "Send a POST" in answer


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"User-Agent": "Boto/2.49.0 Python/2.7"},
        {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
        {"User-Agent": "node", "Sec-Fetch-Mode": "cors", "Accept-Language": "*"},
        {"Host": "localhost"},
        {"Host": "host.docker.internal:9324"},
        {"Host": "SQS.:9324"},
        {"Host": "[::1]:9324"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_programs_and_containers_are_accepted(
    server: Serving, method: str, headers: dict[str, str]
) -> None:
    call = urlencode({"Action": "CreateQueue", "QueueName": "by-program"})
    path, body = (f"/?{call}", b"") if method == "GET" else ("/", call.encode())
    status, answer = ask(server, method, path, headers, body)
    assert status == 200
    host = headers.get("Host", f"127.0.0.1:{server.port}")
    assert f"<QueueUrl>http://{host}/000000000000/by-program</QueueUrl>" in answer


def test_the_error_names_the_option_to_add(server: Serving) -> None:
    answer = ask(server, "GET", "/?Action=ListQueues", {"Host": "db:9324"})[1]
    assert "start the server with --allow-host db<" in answer
    target = {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}
    answer = ask(server, "POST", "/", {**target, "Host": "db:9324"}, b"{}")[1]
    assert json.loads(answer.partition("\r\n\r\n")[2])["message"].endswith("--allow-host db")
    assert "x-amzn-query-error: AccessDenied;Sender" in answer


def test_an_sdk_raises_a_client_error(server: Serving) -> None:
    client = server.client()
    client.meta.events.register(
        "before-send.sqs", lambda request, **_: request.headers.__setitem__("Origin", EVIL)
    )
    with pytest.raises(ClientError, match="page of another site") as caught:
        client.list_queues()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_a_server_on_all_addresses_accepts_addresses_but_no_other_names() -> None:
    with serving("--memory", "--host", "0.0.0.0", "--no-auth") as running:
        assert ask(running, "GET", "/health", {"Host": "192.0.2.7:9324"})[0] == 200
        assert ask(running, "GET", "/health", {"Host": "rebound.evil.example"})[0] == 403


def test_allowed_names_can_come_from_a_variable() -> None:
    with serving("--memory", env={"SQSW_SERVE_ALLOW_HOST": "sqs host.docker.internal"}) as running:
        for host in ("sqs", "host.docker.internal:1"):
            assert ask(running, "GET", "/health", {"Host": host})[0] == 200


def test_a_refusal_is_logged_as_a_request_and_counted(server: Serving) -> None:
    with serving("--memory") as running:
        ask(running, "POST", "/", {"Origin": EVIL}, b"Action=ListQueues")
        figures = running.page("/metrics")
        _, log = running.end()
    assert 'sqsw_requests_total{operation="unknown",status="403"} 1' in figures
    assert re.search(r'"status": ?403', log)
