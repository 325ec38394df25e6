"""Which requests a local server accepts."""

import pytest

from sqsw.web.request_guard import RequestGuard, has_browser_headers, parse_host

EVIL = "http://evil.example"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:9324",
        "LOCALHOST.:9324",
        "shop.localhost",
        "127.0.0.1:9324",
        "127.9.8.7",
        "[::1]:9324",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]:80",
        "0.0.0.0:9324",
        "10.1.2.3",
        "10.1.2.3:9324",
        "host.docker.internal:9324",
        "Host.Docker.Internal.",
        "sqs",
        "only.test:9324",
        "xn--bcher-kva.test",
        "[fd00::1]",
        "[fd00:0::1]:5",
    ],
)
def test_loopback_the_bound_address_and_allowed_names_are_accepted(host: str) -> None:
    names = ["host.docker.internal", "SQS.", "only.test:9324", "bücher.test", "fd00::1"]
    assert RequestGuard("10.1.2.3", names).refusal({"host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "rebound.evil.example",
        "rebound.evil.example:9324",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.nip.io",
        "127.0.0.1.evil.example",
        "127.1",
        "0x7f.1:9324",
        "2130706433",
        "0177.0.0.1",
        "[::ffff:8.8.8.8]",
        "user@127.0.0.1:9324",
        "10.1.2.4",
        "[fd00::2]",
        "only.test",
        "only.test:9325",
        "evil.only.test:9324",
        "localhost,evil.example",
        "evil.example@localhost",
        "localhost:9324/evil",
        "localhost localhost",
        ".",
        "<script>",
        "h" * 300,
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    guard = RequestGuard("10.1.2.3", ["only.test:9324"], hint="--allow-host {host}")
    refusal = guard.refusal({"host": host})
    assert refusal
    parsed = parse_host(host)
    assert ("--allow-host" in refusal) == (parsed is not None)
    assert len(refusal) < 400
    if parsed is not None:
        assert f"--allow-host {parsed.name}" in refusal


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_a_server_on_all_addresses_accepts_any_address_and_no_name(bound: str) -> None:
    guard = RequestGuard(bound)
    for host in ("192.168.1.5:9324", "[fe80::1]:9324", "localhost"):
        assert guard.refusal({"host": host}) is None
    assert guard.refusal({"host": "rebound.evil.example"})
    assert guard.refusal({"host": "sqs:9324"})


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "none,cross-site"},
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:3000"},
        {"origin": "http://localhost"},
        {"origin": "http://localhost:9324.evil.example"},
        {"origin": "http://localhost:9324@evil.example"},
        {"origin": f"http://localhost:9324,{EVIL}"},
        {"origin": "chrome-extension://abcdef"},
        {"origin": "file://"},
        {"referer": f"{EVIL}/page"},
        {"referer": "http://localhost:3000/"},
    ],
    ids=str,
)
def test_requests_of_a_browser_for_another_site_are_refused(headers: dict[str, str]) -> None:
    refusal = RequestGuard("127.0.0.1").refusal({"host": "localhost:9324", **headers})
    assert refusal
    assert "page of another site" in refusal


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:9324"},
        {"origin": "HTTP://LocalHost:9324"},
        {"referer": "http://localhost:9324/metrics?x=1"},
        {"sec-fetch-mode": "cors"},  # fetch() of Node.js
    ],
    ids=str,
)
def test_programs_and_our_own_pages_are_accepted(headers: dict[str, str]) -> None:
    guard = RequestGuard("127.0.0.1")
    assert guard.refusal({"host": "localhost:9324", **headers}) is None


def test_a_default_port_can_be_left_out_on_either_side() -> None:
    guard = RequestGuard("127.0.0.1", ["sqs.test"])
    for origin, host in [
        ("https://sqs.test", "sqs.test"),
        ("https://sqs.test:443", "sqs.test"),
        ("http://sqs.test", "sqs.test:80"),
    ]:
        assert guard.refusal({"host": host, "origin": origin}) is None
    assert guard.refusal({"host": "sqs.test:443", "origin": "http://sqs.test"})


def test_a_request_without_a_host_is_accepted_unless_a_page_sent_it() -> None:
    guard = RequestGuard("127.0.0.1")
    assert guard.refusal({}) is None
    assert guard.refusal({"origin": EVIL})


@pytest.mark.parametrize(
    "name", ["http://sqs.test", "sqs.test/path", "*", "", "a b", "\N{SNOWMAN}" * 99]
)
def test_an_allowed_host_must_be_a_host(name: str) -> None:
    with pytest.raises(ValueError):
        RequestGuard("127.0.0.1", [name])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"user-agent": "aws-cli/2.0"}, False),
        ({"user-agent": "node", "sec-fetch-mode": "cors"}, False),
        ({}, False),
        ({"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}, True),
        ({"sec-fetch-dest": "image"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"cookie": "a=b"}, True),
        ({"sec-websocket-key": "x"}, True),
    ],
    ids=str,
)
def test_browsers_are_recognized_by_their_headers(headers: dict[str, str], expected: bool) -> None:
    assert has_browser_headers(headers) is expected
