"""Java's own HTTP client, which offers HTTP/2 in its requests."""

from pathlib import Path

from tests.clients.support import (
    APPS,
    assert_each_once,
    assert_empty,
    environment,
    installed,
    run,
)
from tests.life.serving import serving


def test_a_form_with_an_upgrade_offer_is_read_completely(tmp_path: Path) -> None:
    java = installed("java")
    installed("javac")  # java compiles the file before it runs it
    with serving("--memory") as server:
        program = [java, "-XX:TieredStopAtLevel=1", str(APPS / "Query.java"), f"{server.url}/"]
        printed = run(program, tmp_path, environment(server))
        assert_each_once(printed.splitlines(), ["job 0", "job 1", "job 2"])
        assert_empty(server.client(), "java")
