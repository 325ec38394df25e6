"""``sqsw health``."""

from collections.abc import Iterator

import pytest

from sqsw.observe.health import Health
from sqsw.observe.http import HealthServer
from sqsw.observe.metrics import Metrics
from tests.unit.cli.conftest import Sqsw
from tests.unit.cli.test_imports import HEAVY, WORKER, loaded_by


@pytest.fixture
def port() -> Iterator[int]:
    health = Health()
    with HealthServer("127.0.0.1", 0, health, Metrics(health)) as server:
        yield server.port


def test_the_exit_code_is_the_answer(sqsw: Sqsw, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    ran = sqsw(f"health {url}")
    assert (ran.code, ran.out) == (0, f"healthy\t{url}/live\t\t\n")
    ran = sqsw(f"health {url}/ready")
    assert (ran.code, ran.out.split("\t")[:3]) == (8, ["unhealthy", f"{url}/ready", "not_started"])
    (answer,) = sqsw(f"health {url}/ready --json").objects
    assert (answer["status"], answer["reason"], answer["code"]) == (
        "unhealthy",
        "not_started",
        None,
    )


@pytest.mark.parametrize("address", ["{}", "localhost:{}", "0.0.0.0:{}", "127.0.0.1:{}"])
def test_an_address_has_the_same_form_as_for_work(sqsw: Sqsw, port: int, address: str) -> None:
    assert sqsw("health", address.format(port)).code == 0


def test_any_ipv6_address_is_asked_on_the_loopback_address(sqsw: Sqsw) -> None:
    (answer,) = sqsw("health [::]:1 --json").objects
    assert answer["target"] == "http://[::1]:1/live"


def test_the_variables_of_work_name_the_worker(
    sqsw: Sqsw, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = sqsw("health")
    assert (ran.code, "SQSW_WORK_HTTP" in ran.err) == (2, True)
    file = sqsw.home / "healthy"
    monkeypatch.setenv("SQSW_WORK_HEALTH_FILE", str(file))
    assert sqsw("health").code == 8
    file.touch()
    assert sqsw("health").code == 0
    monkeypatch.setenv("SQSW_WORK_HTTP", f"0.0.0.0:{port}")
    (answer,) = sqsw("health --json").objects
    assert answer["target"] == f"http://127.0.0.1:{port}/live"


def test_a_probe_imports_only_the_standard_library_and_click(sqsw: Sqsw, port: int) -> None:
    file = sqsw.home / "healthy"
    file.touch()
    for words in (f"health {file}", f"health {port}"):
        assert not loaded_by(sqsw, words) & (HEAVY | WORKER)
