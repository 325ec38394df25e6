"""botocore 1.29, which uses the older query protocol, signs, and checks every digest."""

from pathlib import Path

from tests.clients.support import (
    APPS,
    KEY,
    KEY_OF_SERVER,
    assert_each_once,
    assert_empty,
    environment,
    fetched,
    run,
)
from tests.life.serving import serving


def test_a_botocore_from_before_the_json_protocol(tmp_path: Path) -> None:
    python = fetched("query-protocol/bin/python")
    with serving("--local=query.db", cwd=tmp_path, env=KEY_OF_SERVER) as server:
        program = [python, str(APPS / "query_protocol.py")]
        printed = run(program, tmp_path, environment(server, KEY))
        jobs = ["job 0 & <é>", *(f"job {number}" for number in range(1, 7))]
        assert_each_once(printed.splitlines(), [*jobs, "step 0", "step 1", "step 2"])
        assert_empty(server.client(*KEY), "jobs", "dead", "ordered.fifo")
