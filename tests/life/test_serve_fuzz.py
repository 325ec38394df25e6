"""Ten thousand requests that no client would send: the server answers each and keeps running."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from tests.life.serving import serving

REQUESTS = 10_000
#: connections at a time
CLIENTS = 100
#: Seconds for an answer: at first, and for a second look at requests without one. On a busy
#: machine, some take longer, and an incomplete request gets none so soon.
PATIENCE = (0.15, 1.0)

QUEUE = "http://h/000000000000/q"
ENTRY = {"Id": "a", "MessageBody": "x", "DelaySeconds": 0}
ATTRIBUTE = {"DataType": "Binary", "BinaryValue": "eA=="}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("CreateQueue", {"QueueName": "q", "Attributes": {"DelaySeconds": "0"}, "tags": {"a": "b"}}),
    ("SendMessage", {"QueueUrl": QUEUE, "MessageBody": "x", "MessageAttributes": {"n": ATTRIBUTE}}),
    ("SendMessageBatch", {"QueueUrl": QUEUE, "Entries": [ENTRY, {**ENTRY, "Id": "b"}]}),
    ("ReceiveMessage", {"QueueUrl": QUEUE, "MaxNumberOfMessages": 2, "AttributeNames": ["All"]}),
    ("ChangeMessageVisibility", {"QueueUrl": QUEUE, "ReceiptHandle": "x", "VisibilityTimeout": 1}),
    ("DeleteMessageBatch", {"QueueUrl": QUEUE, "Entries": [{"Id": "a", "ReceiptHandle": "x"}]}),
    ("SetQueueAttributes", {"QueueUrl": QUEUE, "Attributes": {"VisibilityTimeout": "1"}}),
    ("GetQueueAttributes", {"QueueUrl": QUEUE, "AttributeNames": ["All"]}),
    ("ListQueues", {"QueueNamePrefix": "q", "MaxResults": 2, "NextToken": "x"}),
    ("ListMessageMoveTasks", {"SourceArn": "arn:aws:sqs:local:000000000000:q", "MaxResults": 1}),
    ("StartMessageMoveTask", {"SourceArn": "arn:aws:sqs:local:000000000000:q"}),
    ("CancelMessageMoveTask", {"TaskHandle": "eA=="}),
    ("TagQueue", {"QueueUrl": QUEUE, "Tags": {"k": "v"}}),
    ("AddPermission", {"QueueUrl": QUEUE, "Label": "l", "AWSAccountIds": ["1"], "Actions": ["*"]}),
]
FORMS = [
    "Action=CreateQueue&QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=0",
    f"Action=SendMessage&QueueUrl={QUEUE}&MessageBody=x&MessageAttribute.1.Name=n"
    "&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=v",
    f"Action=SendMessageBatch&QueueUrl={QUEUE}&SendMessageBatchRequestEntry.1.Id=a"
    "&SendMessageBatchRequestEntry.1.MessageBody=x&SendMessageBatchRequestEntry.2.Id=b",
    "Action=ReceiveMessage&QueueUrl=q&MaxNumberOfMessages=1&AttributeName.1=All",
    "Action=ListQueues&Version=2012-11-05",
]
ODD: list[Any] = [
    *(None, True, -1, 0, 2**63, 1e400, 0.5, "", "x" * 300, "\x00", "\ud800", "é", " ", "999999"),
    *([], [[]], {}, {"a": {"b": []}}, [None], ["All"] * 20, {"": ""}, "../..", "%00", "http://h"),
]
NOISE = [
    b"\r\n",
    b"\x00",
    b"\xff",
    b": ",
    b"&",
    b"=",
    b"%",
    b"\xed\xa0\x80",
    b"Content-Length: 1",
    b"\r\nConnection: Upgrade\r\nUpgrade: h2c",
    b"{",
]

Mutation = Callable[[random.Random], bytes]


def http(body: bytes, content_type: str, *headers: str) -> bytes:
    lines = ["POST / HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def other_value(rng: random.Random) -> bytes:
    """Return a well-formed request in which one member has another type or value."""
    operation, params = rng.choice(CALLS)
    params = json.loads(json.dumps(params))
    place: Any = params
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner) or rng.random() < 0.4:
            break
        place = inner
    place[key] = rng.choice(ODD)
    body = json.dumps(params).encode()
    return http(body, "application/x-amz-json-1.0", f"X-Amz-Target: AmazonSQS.{operation}")


def other_parameter(rng: random.Random) -> bytes:
    """Return a form in which one parameter has another name or value."""
    pairs = [part.split("=", 1) for part in rng.choice(FORMS).split("&")]
    pair = rng.choice(pairs)
    if rng.random() < 0.5:
        pair[1] = str(rng.choice(ODD))
    else:
        pair[0] = rng.choice([f"{pair[0]}.1", pair[0].replace("1", "99999999999"), "..", "1", "Id"])
    form = urlencode([(name, value) for name, value in pairs], errors="replace").encode()
    return http(form, "application/x-www-form-urlencoded")


def other_bytes(rng: random.Random) -> bytes:
    """Return a request with some bytes added, removed or changed."""
    operation, params = rng.choice(CALLS)
    request = bytearray(
        http(rng.choice(FORMS).encode(), "application/x-www-form-urlencoded")
        if rng.random() < 0.3
        else http(
            json.dumps(params).encode(),
            "application/x-amz-json-1.0",
            f"X-Amz-Target: AmazonSQS.{operation}",
        )
    )
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(request))
        match rng.randrange(5):
            case 0:
                request[at] = rng.randrange(256)
            case 1:
                request[at:at] = rng.choice(NOISE)
            case 2:
                del request[at : at + rng.randint(1, 20)]
            case 3:
                request[at:at] = request[at : at + rng.randint(1, 60)]
            case _:
                request = request + request[at:]
    return bytes(request) or b"\n"


MUTATIONS: list[Mutation] = [other_value, other_value, other_parameter, other_bytes]
ANSWER = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r]*\r\n(.*?)\r\n\r\n(.*)", re.DOTALL)
FORM = re.compile(
    rb"""(?xs) (<\?xml.*> | <UnknownOperationException/> | \{.*\} | ) (HTTP/1\.1\ .*)? """
)


async def ask(port: int, request: bytes, patience: float) -> int:
    """Return the status of the answer: 0 if none came in time, -1 if none will come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer, is_late = b"", False
    try:
        async with asyncio.timeout(patience):
            writer.write(request)
            while part := await reader.read(65536):
                answer += part
                found = ANSWER.fullmatch(answer)
                if found and length_of(found[2]) <= len(found[3]):
                    break
    except TimeoutError:
        is_late = True
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    found = ANSWER.fullmatch(answer)
    assert found or not answer, (request, answer)
    if found is None:
        return 0 if is_late else -1
    assert b"Traceback" not in answer, request
    assert FORM.fullmatch(found[3]), (request, answer)
    return int(found[1])


def length_of(head: bytes) -> int:
    found = re.search(rb"(?i)content-length: ([0-9]+)", head)
    return int(found[1]) if found else 0


async def ask_all(port: int, requests: list[bytes]) -> Counter[int]:
    statuses: Counter[int] = Counter()
    for patience in PATIENCE:
        late: list[bytes] = []
        waiting = iter(requests)

        async def client(
            waiting: Iterator[bytes] = waiting,
            late: list[bytes] = late,
            patience: float = patience,
        ) -> None:
            for request in waiting:
                status = await ask(port, request, patience)
                statuses[status] += 1
                if not status:
                    late.append(request)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        requests, statuses[0] = late, 0
    statuses[0] = len(requests)
    return statuses


def test_the_server_answers_and_survives_any_request() -> None:
    rng = random.Random(20121105)
    requests = [rng.choice(MUTATIONS)(rng) for _ in range(REQUESTS)]
    with serving("--memory", "--log-level", "warning") as running:
        client = running.client()
        client.create_queue(QueueName="q")
        statuses = asyncio.run(ask_all(running.port, requests))
        assert statuses.keys() <= {0, 200, 400, 403, 404, 408, 413, 431}, statuses
        # Without an answer so soon: those that lack bytes, and receives that wait.
        assert statuses[0] < REQUESTS / 10, statuses
        assert min(statuses[200], statuses[400]) > REQUESTS / 10, statuses
        client.send_message(QueueUrl="q", MessageBody="still here")
        assert "ok" in running.page("/health")
        code, log = running.end()
    assert code == 0
    assert "internal_failure" not in log, log
    assert "Traceback" not in log, log
