"""npm's sqs-consumer on the AWS SDK for JavaScript, signed: with single messages and batches."""

from pathlib import Path

import pytest

from tests.clients.support import (
    APPS,
    KEY,
    KEY_OF_SERVER,
    assert_each_once,
    assert_empty,
    environment,
    fetched,
    installed,
    read_lines,
    running,
)
from tests.life.serving import serving

JOBS = [*(f"job {number}" for number in range(16)), "fails", "blue", "slow 1", "slow 2"]
DONE = [job + (" colour of the sky" if job == "blue" else "") for job in JOBS]


@pytest.mark.parametrize("way", ["one", "batch"])
def test_each_message_is_handled_once(tmp_path: Path, way: str) -> None:
    node, done = installed("node"), tmp_path / "done"
    with serving("--memory", env=KEY_OF_SERVER) as server:
        client = server.client(*KEY)
        url = client.create_queue(QueueName="jobs")["QueueUrl"]
        for job in JOBS:
            colour = {"colour": {"DataType": "String", "StringValue": "colour of the sky"}}
            client.send_message(
                QueueUrl=url, MessageBody=job, MessageAttributes=colour if job == "blue" else {}
            )
        env = environment(server, KEY) | {"NODE_PATH": fetched("node/node_modules")}
        consumer = [node, str(APPS / "consumer.mjs"), url, way]
        for name, count in (("first", 17), ("second", len(JOBS))):
            with running(consumer, tmp_path, env, name) as program:
                program.wait_for(done, count)
                program.terminate()
                assert program.wait() == 0, program.log
        assert_each_once(read_lines(done), DONE)
        assert_empty(client, "jobs")
