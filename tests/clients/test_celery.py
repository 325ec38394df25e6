"""Celery on kombu's SQS transport, signed: a worker stops with jobs in hand, the next goes on."""

from pathlib import Path

from tests.backends import wait_until
from tests.clients.support import (
    APPS,
    KEY,
    KEY_OF_SERVER,
    PATIENCE,
    assert_each_once,
    assert_empty,
    count_left,
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
    "stubborn after 2 retries",
    "late",
]


def test_each_task_runs_once_in_one_worker_or_the_next(tmp_path: Path) -> None:
    python, done = fetched("python/bin/python"), tmp_path / "done"
    worker = [python, "-m", "celery", "-A", "celery_app", "worker", "-l", "info"]
    with serving("--local=celery.db", cwd=tmp_path, env=KEY_OF_SERVER) as server:
        client = server.client(*KEY)
        env = environment(server, KEY) | {"PYTHONPATH": str(APPS)}
        # kombu creates the queue
        run([python, str(APPS / "celery_app.py")], tmp_path, env)
        # A prefork worker that stops while a child starts a task can put that task back on the
        # queue although it runs. The solo pool runs tasks itself and has no such moment.
        with running([*worker, "-P", "solo"], tmp_path, env, "first") as first:
            first.wait_for(done, 10)
            first.terminate("Warm shutdown")
            (tmp_path / "go").touch()
            assert first.wait() == 0, first.log
        assert len(read_lines(done)) < len(JOBS), "the first worker stopped too late"
        # here, it gets the URL of the queue
        env["QUEUE_URL"] = client.get_queue_url(QueueName="jobs")["QueueUrl"]
        with running([*worker, "-c", "2"], tmp_path, env, "second") as second:
            second.wait_for(done, len(JOBS))
            wait_until(lambda: not count_left(client, "jobs"), PATIENCE, "the last to be deleted")
            second.terminate()
            assert second.wait() == 0, second.log
        assert_each_once(read_lines(done), JOBS)
        assert_empty(client, "jobs")
        code, log = server.end()
    assert code == 0
    assert '"status": 4' not in log, log
    assert '"status": 5' not in log, log
