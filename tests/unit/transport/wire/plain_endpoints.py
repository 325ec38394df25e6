"""Print the endpoints for settings from stdin, in a process without botocore."""

import json
import os
import sys
from typing import Any

from sqsw.core.errors import SettingsError
from sqsw.transport.wire.plain_settings import can_be_watched, plain_endpoint


def find(variables: dict[str, str], region: str | None, endpoint_url: str | None) -> Any:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        found = plain_endpoint(region, endpoint_url)
    except SettingsError as error:
        return str(error)
    finally:
        os.environ.clear()
        os.environ.update(before)
    if found is None:
        return None
    tls = found.tls and (found.tls.check_hostname, int(found.tls.verify_mode))
    return found.url, found.address, found.host, found.region, tls, found.credentials()


assert not can_be_watched()
print(json.dumps([find(*case) for case in json.load(sys.stdin)]))
