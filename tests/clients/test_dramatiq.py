"""dramatiq on dramatiq-sqs: a worker stops with jobs in hand, the next goes on."""

import base64
import json
from pathlib import Path

from tests.clients.support import (
    APPS,
    assert_each_once,
    assert_empty,
    environment,
    fetched,
    read_lines,
    run,
    running,
)
from tests.life.serving import serving

JOBS = [
    *(f"note {number}" for number in range(10)),
    *(f"slow {number}" for number in range(6)),
    *("stubborn", "late", "hopeless"),
]


def test_each_actor_runs_once_in_one_worker_or_the_next(tmp_path: Path) -> None:
    python, done = fetched("python/bin/python"), tmp_path / "done"
    worker = [python, "-m", "dramatiq", "dramatiq_app", "--processes", "1", "--threads", "2"]
    with serving("--local=dramatiq.db", cwd=tmp_path) as server:
        client = server.client()
        env = environment(server) | {"PYTHONPATH": str(APPS)}
        run([python, str(APPS / "dramatiq_app.py")], tmp_path, env)
        with running(worker, tmp_path, env, "first") as first:
            first.wait_for(done, 10)
            first.terminate("Shutting down")
            (tmp_path / "go").touch()
            assert first.wait() == 0, first.log
        assert len(read_lines(done)) < len(JOBS), "the first worker stopped too late"
        with running(worker, tmp_path, env, "second") as second:
            second.wait_for(done, len(JOBS))
            second.terminate()
            assert second.wait() == 0, second.log
        assert_each_once(read_lines(done), JOBS)
        assert_empty(client, "app_default")
        (dead,) = client.receive_message(QueueUrl="app_default_dlq")["Messages"]
        assert json.loads(base64.b64decode(dead["Body"]))["actor_name"] == "hopeless"
        client.delete_message(QueueUrl="app_default_dlq", ReceiptHandle=dead["ReceiptHandle"])
        assert_empty(client, "app_default_dlq")
