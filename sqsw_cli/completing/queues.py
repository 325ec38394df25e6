"""Queue names, from the local file or from a list that a child process gets from AWS."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sqsw_cli.completing.memory import Remembered
from sqsw_cli.invocation import Invocation

#: seconds after which a list is renewed
_FRESH = 60
#: seconds to wait for a new list
_PATIENCE = 1.0

_WHERE = ("endpoint_url", "region", "profile", "queue_prefix")
_VARIABLES = (
    *("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "SQSW_QUEUE_PREFIX"),
)


def queue_names(invocation: Invocation) -> list[str]:
    from sqsw.memory_sqs import local_path

    word = invocation.local
    path = local_path(os.environ.get("SQSW_LOCAL")) if word is None else local_path(word or "1")
    other = invocation.endpoint_url or invocation.profile
    if path is not None and (word is not None or not other):
        return _local_names(Path(path), invocation)
    return _remote_names({name: getattr(invocation, name) for name in _WHERE})


def _local_names(path: Path, invocation: Invocation) -> list[str]:
    import logging

    from sqsw.memory_sqs import LocalSession

    if not path.is_file():  # completion must not create it
        return []
    session = LocalSession(path, region_name=invocation.region)
    logging.disable()  # a warning would be written into the line that is being typed
    try:
        urls = session.engine.handle("ListQueues", {}, region=session.region_name).get("QueueUrls")
    finally:
        session.close()
        logging.disable(logging.NOTSET)
    given = invocation.queue_prefix
    prefix = os.environ.get("SQSW_QUEUE_PREFIX", "") if given is None else given
    names = [url.rpartition("/")[2] for url in urls or []]
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _remote_names(where: Mapping[str, str | None]) -> list[str]:
    key = {**where, **{name: os.environ.get(name) for name in _VARIABLES}}
    names, asked = Remembered("queues", key), Remembered("asked", key)
    if names.age > _FRESH and asked.age > _FRESH / 6:
        asked.write(None)  # so a second Tab does not ask again
        _ask(where, names.path)
    found = names.read()
    return [str(name) for name in found] if isinstance(found, list) else []


def _ask(where: Mapping[str, str | None], path: Path) -> None:
    """Start a child that renews the list, and wait briefly; the child can take longer."""
    child = subprocess.Popen(
        # -P: `python -m` alone would import from the current directory first.
        [sys.executable, "-P", "-m", "sqsw_cli.renew_queue_names", json.dumps(where), str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != "_SQSW_COMPLETE"},
    )
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.returncode = 0  # the child outlives this process: keep Popen from warning
