"""An SQS that evaluates IAM policies: a proxy that refuses every call that they do not allow."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: An action without its service, and the name of its queue; ``*`` if it has no queue.
Call = tuple[str, str]

_DENIED = {
    "__type": "com.amazonaws.sqs#AccessDeniedException",
    "message": "User: arn:aws:iam::000000000000:user/test is not authorized",
}


class Gate:
    """The proxy.

    Attributes
    ----------
    url :
        Its address.
    allows :
        Decides whether a call is allowed; set it before a command runs.
    calls :
        All calls, allowed or not.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.allows: Callable[[Call], bool] = lambda call: True
        self.calls: set[Call] = set()


@contextmanager
def gate(port: int) -> Iterator[Gate]:
    """Start a proxy for the server on this local port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            call = _call(self.headers["X-Amz-Target"], json.loads(body))
            made.calls.add(call)
            if not made.allows(call):
                self._answer(403, "application/x-amz-json-1.0", json.dumps(_DENIED).encode())
                return
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                upstream.request("POST", self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                self._answer(answer.status, answer.headers["Content-Type"], answer.read())
            finally:
                upstream.close()

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made = Gate(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def _call(target: str, request: dict[str, Any]) -> Call:
    # IAM uses the name of the single action for a batch.
    action = target.rpartition(".")[2].removesuffix("Batch")
    address = request.get("QueueUrl") or request.get("QueueName") or request.get("SourceArn") or "*"
    return action, address.rpartition("/")[2].rpartition(":")[2]


def allows(policy: dict[str, Any], call: Call) -> bool:
    """Return whether an identity policy allows a call. Only the queue name of an ARN counts."""
    return any(
        fnmatchcase(f"sqs:{call[0]}", action) and fnmatchcase(call[1], name.rpartition(":")[2])
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in _list(statement["Action"])
        for name in _list(statement["Resource"])
    )


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
