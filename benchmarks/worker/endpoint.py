"""A null SQS over HTTP, for benchmarks of workers: it costs almost nothing, and counts calls.

    python -m benchmarks.worker.endpoint [PORT]

It keeps messages in memory and supports only what workers need: long polling, deletes, sends, and
on FIFO queues one receive of a group at a time. A lease never ends. Leases, deduplication and
redrive are missing; ``sqsw serve`` has them.

The program that runs the benchmark controls it through ``/control``.
"""

import asyncio
import gc
import hashlib
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

_ACCOUNT = "000000000000"
_Answer = Callable[[bytes], None]


class Template:
    """The common part of all copies of a message, rendered once for each kind of request."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self._entry = entry
        self._rendered: dict[tuple[str, bool, bool], bytes] = {}

    def tail(self, group: str, system: bool, attributes: bool) -> bytes:
        """Return everything that follows the receipt handle of a message."""
        key = group, system, attributes
        if key not in self._rendered:
            body = self._entry["MessageBody"]
            shown: dict[str, Any] = {"Body": body, "MD5OfBody": _md5(body)}
            if system:
                shown["Attributes"] = {
                    "SentTimestamp": str(int(time.time() * 1000)),
                    "ApproximateReceiveCount": "1",
                    "ApproximateFirstReceiveTimestamp": str(int(time.time() * 1000)),
                    "SenderId": "sender",
                } | ({"MessageGroupId": group} if group else {})
            if attributes and self._entry.get("MessageAttributes"):
                shown["MessageAttributes"] = self._entry["MessageAttributes"]
            self._rendered[key] = b'",' + json.dumps(shown).encode()[1:]
        return self._rendered[key]


class Queue:
    """A queue; a message is a number, which is also its receipt handle."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fifo = name.endswith(".fifo")
        self.template = Template({"MessageBody": "{}"})
        self.groups: dict[str, deque[int]] = {}
        self.ready: deque[str] = deque()
        self.group_of: dict[int, str] = {}
        self.in_flight: Counter[str] = Counter()
        self.next_number = 0
        self.last_deleted: dict[str, int] = {}
        self.disorder = 0
        self.left = 0
        self.loaded_at = self.emptied_at = self.first_taken = 0.0
        self.waiting: deque[tuple[Callable[[], bytes | None], _Answer]] = deque()

    def load(self, count: int, groups: int) -> None:
        """Add copies of the message that was sent last, in turn for each group."""
        self.loaded_at, self.emptied_at, self.first_taken = time.monotonic(), 0.0, 0.0
        for index in range(count):
            self.add(f"g{index % groups}" if groups else "")
        self.answer_waiting()

    def answer_waiting(self) -> None:
        """Answer waiting receives while there are messages for them."""
        while self.waiting:
            ask, answer = self.waiting.popleft()
            found = ask()
            if found is None:
                self.waiting.appendleft((ask, answer))
                return
            answer(found)

    def add(self, group: str) -> None:
        number, self.next_number = self.next_number, self.next_number + 1
        line = self.groups.setdefault(group, deque())
        if not line and not (self.fifo and self.in_flight[group]):
            self.ready.append(group)
        line.append(number)
        self.left += 1

    def take(self, most: int) -> list[tuple[int, str]]:
        """Take up to ``most`` messages; on a FIFO queue, from groups that have none in flight."""
        taken: list[tuple[int, str]] = []
        if self.ready:
            self.first_taken = self.first_taken or time.monotonic()
        while self.ready and len(taken) < most:
            group = self.ready[0]
            line = self.groups[group]
            while line and len(taken) < most:
                number = line.popleft()
                self.group_of[number] = group
                self.in_flight[group] += 1
                taken.append((number, group))
            if not line or self.fifo:
                self.ready.popleft()
        return taken

    def delete(self, number: int) -> None:
        group = self.group_of.pop(number, None)
        if group is None:
            return
        if self.fifo:
            self.disorder += number < self.last_deleted.get(group, -1)
            self.last_deleted[group] = number
        self.in_flight[group] -= 1
        if self.fifo and not self.in_flight[group] and self.groups[group]:
            self.ready.append(group)
        self.left -= 1
        if not self.left:
            self.emptied_at = time.monotonic()

    def release(self, number: int) -> None:
        """Make a message visible again at once, before later messages."""
        group = self.group_of.pop(number, None)
        if group is None:
            return
        self.in_flight[group] -= 1
        line = self.groups[group]
        if not (self.fifo and self.in_flight[group]) and group not in self.ready:
            self.ready.append(group)
        line.appendleft(number)


class Endpoint:
    """All queues, and the actions of SQS."""

    def __init__(self) -> None:
        self.queues: dict[str, Queue] = {}
        self.calls: Counter[str] = Counter()
        self.latency = 0.0
        self.address = ""
        self.empty_receives = 0

    def answer(self, action: str, request: dict[str, Any], answer: _Answer) -> None:
        """Handle a request, and answer now or later."""
        self.calls[action] += 1
        if action == "ReceiveMessage":
            self._receive(request, answer)
        else:
            answer(json.dumps(getattr(self, "do_" + action, lambda _: {})(request)).encode())

    def _queue(self, request: dict[str, Any]) -> Queue:
        name = request.get("QueueName") or request["QueueUrl"].rpartition("/")[2]
        if name not in self.queues:
            self.queues[name] = Queue(name)
        return self.queues[name]

    def _url(self, queue: Queue) -> str:
        return f"{self.address}/{_ACCOUNT}/{queue.name}"

    def _receive(self, request: dict[str, Any], answer: _Answer) -> None:
        queue = self._queue(request)
        most = request.get("MaxNumberOfMessages", 1)
        system = bool(request.get("AttributeNames") or request.get("MessageSystemAttributeNames"))
        attributes = bool(request.get("MessageAttributeNames"))

        def ask() -> bytes | None:
            taken = queue.take(most)
            if not taken:
                return None
            shown = [
                b'{"MessageId":"m-%d","ReceiptHandle":"%s/%d'
                % (number, queue.name.encode(), number)
                + queue.template.tail(group, system, attributes)
                for number, group in taken
            ]
            return b'{"Messages":[' + b",".join(shown) + b"]}"

        found = ask()
        if found is not None or not request.get("WaitTimeSeconds"):
            self.empty_receives += found is None
            answer(found or b"{}")
            return
        waiting = (ask, answer)

        def end() -> None:
            if waiting in queue.waiting:
                queue.waiting.remove(waiting)
                self.empty_receives += 1
                answer(b"{}")

        queue.waiting.append(waiting)
        asyncio.get_running_loop().call_later(request["WaitTimeSeconds"], end)

    def do_GetQueueUrl(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"QueueUrl": self._url(self._queue(request))}

    do_CreateQueue = do_GetQueueUrl

    def do_ListQueues(self, request: dict[str, Any]) -> dict[str, Any]:
        start = request.get("QueueNamePrefix", "")
        return {"QueueUrls": [self._url(q) for n, q in self.queues.items() if n.startswith(start)]}

    def do_GetQueueAttributes(self, request: dict[str, Any]) -> dict[str, Any]:
        queue = self._queue(request)
        waiting = str(sum(map(len, queue.groups.values())))
        return {
            "Attributes": {
                "VisibilityTimeout": "30",
                "ApproximateNumberOfMessages": waiting,
                "QueueArn": f"arn:aws:sqs:us-east-1:{_ACCOUNT}:{queue.name}",
                "RedrivePolicy": json.dumps(
                    {
                        "maxReceiveCount": 9,
                        "deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{_ACCOUNT}:dead",
                    }
                ),
            }
        }

    def do_SendMessage(self, request: dict[str, Any]) -> dict[str, Any]:
        queue = self._queue(request)
        queue.template = Template(request)
        queue.add(request.get("MessageGroupId", ""))
        return {
            "MessageId": f"m-{queue.next_number - 1}",
            "MD5OfMessageBody": _md5(request["MessageBody"]),
        }

    def do_SendMessageBatch(self, request: dict[str, Any]) -> dict[str, Any]:
        url = {"QueueUrl": request["QueueUrl"]}
        return {
            "Successful": [
                {"Id": entry["Id"], **self.do_SendMessage(entry | url)}
                for entry in request["Entries"]
            ]
        }

    def do_DeleteMessage(self, request: dict[str, Any]) -> dict[str, Any]:
        queue = self._queue(request)
        queue.delete(_number(request))
        queue.answer_waiting()
        return {}

    def do_DeleteMessageBatch(self, request: dict[str, Any]) -> dict[str, Any]:
        queue = self._queue(request)
        for entry in request["Entries"]:
            queue.delete(_number(entry))
        queue.answer_waiting()
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def do_ChangeMessageVisibility(self, request: dict[str, Any]) -> dict[str, Any]:
        if not request["VisibilityTimeout"]:
            self._queue(request).release(_number(request))
        return {}

    def do_ChangeMessageVisibilityBatch(self, request: dict[str, Any]) -> dict[str, Any]:
        url = {"QueueUrl": request["QueueUrl"]}
        for entry in request["Entries"]:
            self.do_ChangeMessageVisibility(entry | url)
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def control(self, request: dict[str, Any]) -> dict[str, Any]:
        """Handle ``load`` and ``reset`` from the benchmark, and return the state."""
        queue = self._queue(request)
        if request["do"] == "reset":
            # Waiting receives are answered when their time is up; their clients are gone by then.
            self.queues.clear()
            self.calls.clear()
            self.empty_receives = 0
            self.latency = request.get("latency", 0.0)
            gc.collect()
        elif request["do"] == "load":
            if "entry" in request:
                queue.template = Template(request["entry"])
            self.calls.clear()
            self.empty_receives = 0
            queue.load(request["count"], request.get("groups", 0))
        return {
            "left": queue.left,
            "waiting": len(queue.waiting),
            "seconds": queue.emptied_at - queue.loaded_at if queue.emptied_at else None,
            "first_taken": queue.first_taken,
            "disorder": queue.disorder,
            "calls": dict(self.calls),
            "empty_receives": self.empty_receives,
        }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _number(entry: dict[str, Any]) -> int:
    return int(entry["ReceiptHandle"].rpartition("/")[2])


class Connection(asyncio.Protocol):
    """A connection: requests one after the other, without chunks, as SDKs send them."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, sign, rest = self._buffer.partition(b"\r\n\r\n")
            if not sign:
                return
            lines = head.split(b"\r\n")
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(b":")
                headers[name.lower()] = value.strip()
            length = int(headers.get(b"content-length", 0))
            if len(rest) < length:
                if headers.get(b"expect") and self._transport is not None:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self._buffer = rest[length:]
            self._ask(lines[0].split(b" ")[1], headers, rest[:length])

    def _ask(self, path: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        request = json.loads(body or b"{}")
        if path.startswith(b"/control"):
            self._write(json.dumps(self._endpoint.control(request)).encode())
            return
        action = headers[b"x-amz-target"].rpartition(b".")[2].decode()
        latency = self._endpoint.latency
        if latency:
            loop = asyncio.get_running_loop()
            self._endpoint.answer(
                action, request, lambda text: (loop.call_later(latency, self._write, text), None)[1]
            )
        else:
            self._endpoint.answer(action, request, self._write)

    def _write(self, text: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
                b"x-amzn-RequestId: 0\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
            )


async def serve(port: int) -> None:
    """Serve until the process ends, and print the address."""
    endpoint = Endpoint()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(endpoint), "127.0.0.1", port
    )
    host, port = server.sockets[0].getsockname()[:2]
    endpoint.address = f"http://{host}:{port}"
    print(endpoint.address, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    gc.disable()
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
