"""``sqsw serve``: its output and its refusals; tests/life has the server itself."""

from pathlib import Path
from typing import Any

import pytest

from sqsw import memory_sqs
from tests.unit.cli.conftest import Sqsw

ENV = (
    "export AWS_ENDPOINT_URL_SQS=http://127.0.0.1:9324\n"
    "export AWS_REGION=local AWS_DEFAULT_REGION=local"
    " AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n"
)


class Calls(list[dict[str, Any]]):
    """Replaces the server: records its settings, and is ready at once."""

    url, port = "http://127.0.0.1:9324", 9324

    def __call__(self, path: str | None, host: str, port: int, **options: Any) -> None:
        self.append({"path": path, "host": host, "port": port, **options})
        options["on_ready"](self)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.setattr(memory_sqs, "serve", made := Calls())
    return made


def test_it_prints_lines_for_a_shell(sqsw: Sqsw, calls: Calls, home: Path) -> None:
    ran = sqsw("serve")
    assert ran.code == 0
    assert ran.out == ENV
    (call,) = calls
    assert call["path"] == str(home / "local.db")  # the region of SQSW_LOCAL
    assert (call["host"], call["port"], call["key"]) == ("127.0.0.1", 9324, None)


def test_json_prints_one_object_when_it_is_ready(sqsw: Sqsw, calls: Calls) -> None:
    ran = sqsw("serve --json --memory --region eu-west-1")
    assert ran.objects == [
        {
            "type": "ready",
            "url": "http://127.0.0.1:9324",
            "host": "127.0.0.1",
            "port": 9324,
            "path": None,
            "region": "eu-west-1",
        }
    ]
    assert calls[0]["region_name"] == "eu-west-1"


@pytest.mark.parametrize(
    ("words", "variable", "path"),
    [
        ("serve", "", ".sqsw/local.db"),
        ("serve --local", "other.db", ".sqsw/local.db"),
        ("serve --local=a.db", "other.db", "a.db"),
        ("--local=a.db serve", "", "a.db"),
        ("serve --local=0", "1", ".sqsw/local.db"),
        ("serve --memory", "other.db", None),
    ],
)
def test_the_selected_file(
    sqsw: Sqsw,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    variable: str,
    path: str | None,
) -> None:
    monkeypatch.setenv("SQSW_LOCAL", variable)
    assert sqsw(words).code == 0
    assert calls[0]["path"] == path


def test_print_env_prints_and_starts_nothing(sqsw: Sqsw, calls: Calls) -> None:
    assert sqsw("serve --print-env").out == ENV
    assert "=http://127.0.0.1:5555\n" in sqsw("serve --print-env --host 0.0.0.0 --port 5555").out
    assert "='http://[::1]:9324'\n" in sqsw("serve --print-env --host ::1").out
    assert calls == []


def test_print_env_bypasses_a_proxy_of_the_environment(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "intranet.test")
    hosts = "intranet.test,127.0.0.1"
    assert sqsw("serve --print-env").out == f"{ENV}export NO_PROXY={hosts} no_proxy={hosts}\n"
    monkeypatch.setenv("no_proxy", hosts)  # the printed lines have set it
    assert sqsw("serve --print-env").out == ENV


def test_print_env_needs_a_port(sqsw: Sqsw) -> None:
    ran = sqsw("serve --print-env --port 0")
    assert ran.code == 2
    assert "--print-env needs a fixed port" in ran.err


def test_the_printed_lines_never_contain_a_secret(
    sqsw: Sqsw, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQSW_SERVE_ACCESS_KEY", "AKID")
    monkeypatch.setenv("SQSW_SERVE_SECRET_KEY", "hidden")
    ran = sqsw("serve")
    assert 'AWS_SECRET_ACCESS_KEY="$SQSW_SERVE_SECRET_KEY"' in ran.out
    assert "hidden" not in ran.out + ran.err
    assert calls[0]["key"] == ("AKID", "hidden")


def test_options_can_be_set_by_variables(
    sqsw: Sqsw, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQSW_SERVE_PORT", "1234")
    assert sqsw("serve").code == 0
    assert calls[0]["port"] == 1234


@pytest.mark.parametrize(
    ("words", "variable", "hosts"),
    [
        ("serve", "", ()),
        ("serve --allow-host sqs --allow-host db:9324", "", ("sqs", "db:9324")),
        ("serve", "sqs host.docker.internal", ("sqs", "host.docker.internal")),
    ],
)
def test_allowed_hosts(
    sqsw: Sqsw,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    variable: str,
    hosts: tuple[str, ...],
) -> None:
    monkeypatch.setenv("SQSW_SERVE_ALLOW_HOST", variable)
    assert sqsw(words).code == 0
    assert calls[0]["allow_hosts"] == hosts
    assert calls[0]["allow_host_hint"] == "--allow-host {host}"


def test_an_allowed_host_must_not_be_a_url(sqsw: Sqsw) -> None:
    ran = sqsw("serve --memory --port 0 --allow-host http://sqs:9324/")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: 'http://sqs:9324/' is not a host name",
        "  why:  an allowed host is a name or an address, with or without a port",
        "  next: leave out the scheme and the path: sqs.test, or sqs.test:9324",
    ]


def test_an_incomplete_key_is_refused(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQSW_SERVE_SECRET_KEY", "x")
    ran = sqsw("serve")
    assert ran.code == 2
    assert ran.err.startswith(
        "error: SQSW_SERVE_SECRET_KEY is set and SQSW_SERVE_ACCESS_KEY is not"
    )


def test_memory_and_a_file_cannot_be_combined(sqsw: Sqsw) -> None:
    ran = sqsw("serve --memory --local")
    assert ran.code == 2
    assert ran.err.startswith("error: --memory and --local cannot be used together\n")


def test_another_host_without_a_key_is_refused(sqsw: Sqsw) -> None:
    ran = sqsw("serve --host 0.0.0.0 --port 0")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: cannot serve on '0.0.0.0' without a key",
        "  why:  it is not a loopback address, so other machines could use the queues",
        "  next: set SQSW_SERVE_ACCESS_KEY and SQSW_SERVE_SECRET_KEY, or use --no-auth",
    ]


def test_a_key_with_no_auth_is_refused(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQSW_SERVE_ACCESS_KEY", "AKID")
    monkeypatch.setenv("SQSW_SERVE_SECRET_KEY", "hidden")
    ran = sqsw("serve --memory --no-auth --port 0")
    assert ran.code == 2
    assert ran.err.startswith("error: a key and no_auth cannot be combined\n")
    assert ran.out == ""


@pytest.mark.parametrize("host", ["192.0.2.1", "n" * 64])
def test_an_address_that_cannot_be_bound_is_an_error(sqsw: Sqsw, host: str) -> None:
    ran = sqsw(f"serve --host {host} --no-auth --port 0")
    assert ran.code == 2
    assert ran.err.startswith(f"error: cannot listen on port 0 of {host}\n")


def test_a_file_that_cannot_be_used_is_an_error(sqsw: Sqsw, home: Path) -> None:
    (home / "text").write_text("no database " * 100)
    ran = sqsw("serve --local=text --port 0")
    assert ran.code == 2
    assert ran.err.startswith("error: text cannot be used\n")
