"""HTTP requests to SQS without an SDK."""

import base64
import http.client
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

#: contains region and service; the servers do not verify the signature
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request,"
    " SignedHeaders=host, Signature=0"
}
_JSON = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-query-mode": "true"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"


class Answer(NamedTuple):
    """A response; header names are in lowercase."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def xml(self) -> ElementTree.Element:
        """Return the document without its namespace."""
        return ElementTree.fromstring(self.text.replace(f' xmlns="{NAMESPACE}"', ""))

    def find(self, path: str) -> str | None:
        """Return the text of one element; None if it is missing."""
        return self.xml.findtext(path)


class Http:
    """A client that sends raw HTTP requests to one server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self.url, self._host, self._port = url, parts.hostname, parts.port

    def send(self, method: str, target: str, body: str, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        try:
            connection.request(method, target, body.encode() or None, dict(headers))
            got = connection.getresponse()
            names = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, names, got.read().decode())
        finally:
            connection.close()

    def json(
        self,
        operation: str,
        members: object,
        path: str = "/",
        headers: Mapping[str, str] = SIGNED,
    ) -> Answer:
        """Send a request of the JSON protocol; ``members`` is an object or the raw body."""
        body = members if isinstance(members, str) else json.dumps(members)
        target = {"X-Amz-Target": f"AmazonSQS.{operation}"}
        return self.send("POST", path, body, {**_JSON, **target, **headers})

    def query(
        self,
        action: str | None,
        params: Mapping[str, str] | None = None,
        path: str = "/",
        method: str = "POST",
    ) -> Answer:
        """Send a request of the query protocol."""
        values = {"Version": "2012-11-05", **(params or {})}
        form = urlencode({"Action": action, **values} if action else values)
        headers = SIGNED
        if method == "GET":
            return self.send("GET", f"{path}?{form}", "", headers)
        return self.send(method, path, form, {**_FORM, **headers})


def path_of(queue_url: str) -> str:
    return urlsplit(queue_url).path


def is_uuid(text: str | None) -> bool:
    return re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text or "") is not None


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
