"""Calls bypass botocore only for a plain session, and use the same address as botocore."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from botocore.exceptions import InvalidRegionError

from sqsw.transport.wire.conditions import StepAside, find_endpoint


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def address_of_botocore(session: Any, region: str) -> str:
    client = session.create_client("sqs", region_name=region)
    operation = client.meta.service_model.operation_model("ReceiveMessage")
    found = client._ruleset_resolver.construct_endpoint(operation, {}, {"client_region": region})
    return str(found.url)


def all_regions() -> Iterator[str]:
    session = botocore.session.Session()
    for partition in session.get_available_partitions():
        yield from session.get_available_regions("sqs", partition)
    yield "xx-west-9"  # a region that does not exist yet


SOME_REGIONS = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1"]


@pytest.mark.parametrize(
    ("flags", "regions"),
    [
        ((), list(all_regions())),
        (("FIPS",), SOME_REGIONS),
        (("DUALSTACK",), SOME_REGIONS),
        (("FIPS", "DUALSTACK"), SOME_REGIONS),
    ],
)
def test_the_address_is_the_one_that_botocore_uses(
    flags: tuple[str, ...], regions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for flag in flags:
        monkeypatch.setenv(f"AWS_USE_{flag}_ENDPOINT", "true")
    session = botocore.session.Session()
    seen = 0
    for region in regions:
        try:
            endpoint = find_endpoint(session, region, None)
        except StepAside:
            assert "-iso" in region and "DUALSTACK" in flags
            continue
        scheme = "https" if endpoint.address.is_tls else "http"
        assert f"{scheme}://{endpoint.host}" == address_of_botocore(session, region)
        assert endpoint.region == region
        assert endpoint.tls is not None and endpoint.tls.check_hostname
        seen += 1
    assert seen >= len(regions) - 1


@pytest.mark.parametrize(
    ("variables", "config", "expected"),
    [
        ({"AWS_ENDPOINT_URL": "http://a:1"}, "", "a:1"),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_SQS": "http://b"}, "", "b"),
        ({}, "[default]\nendpoint_url = http://c:80\n", "c"),
        ({}, "[default]\nservices = s\n[services s]\nsqs =\n  endpoint_url = http://d:9\n", "d:9"),
        (
            {"AWS_ENDPOINT_URL": "http://a:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "",
            "sqs.eu-west-1.amazonaws.com",
        ),
        ({"AWS_ENDPOINT_URL": "http://[::1]:9324/"}, "", "[::1]:9324"),
    ],
)
def test_a_configured_endpoint_is_found_as_botocore_finds_it(
    variables: dict[str, str],
    config: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(config)
    assert find_endpoint(botocore.session.Session(), None, None).host == expected


def test_each_call_uses_the_current_credentials() -> None:
    session: Any = botocore.session.Session()
    endpoint = find_endpoint(session, None, None)
    assert endpoint.credentials().access_key == "id"
    session.get_credentials().access_key = "new"
    assert endpoint.credentials().access_key == "new"


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_DEFAULT_REGION": ""},
        {"AWS_DEFAULT_REGION": "fips-us-east-1"},
        {"AWS_ENDPOINT_URL": "http://localhost:9324/path"},
        {"AWS_ENDPOINT_URL": "http://user:secret@localhost:9324"},
        {"AWS_ENDPOINT_URL": "http://localhost:9324/?query=1"},
        {"AWS_ENDPOINT_URL": "localhost:9324"},
        {"AWS_ENDPOINT_URL": "ftp://localhost"},
        {"AWS_ENDPOINT_URL": "http://"},
        {"AWS_ENDPOINT_URL": "http://a..b:9324"},
        {"AWS_ENDPOINT_URL": "http://under_score:9324"},
        {"HTTPS_PROXY": "http://proxy:3128"},
        {"https_proxy": "http://proxy:3128", "NO_PROXY": "other.example"},
        {"AWS_LAMBDA_FUNCTION_NAME": "send-emails"},
        pytest.param(
            {"AWS_AUTH_SCHEME_PREFERENCE": "sigv4a"},
            marks=pytest.mark.skipif(
                "auth_scheme_preference" not in BOTOCORE_DEFAUT_SESSION_VARIABLES,
                reason="this version of botocore does not support it",
            ),
        ),
    ],
    ids=str,
)
def test_the_wire_is_not_used_with_settings_that_it_does_not_support(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StepAside) as caught:
        find_endpoint(botocore.session.Session(), None, None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("region", ["evil.example#", "evil.example/", "eu_west_1", "x" * 64])
def test_a_malformed_region_cannot_change_the_host(region: str) -> None:
    session = botocore.session.Session()
    for endpoint_url in (None, "http://localhost:9324"):
        with pytest.raises(InvalidRegionError):
            find_endpoint(session, region, endpoint_url)
        with pytest.raises(InvalidRegionError):
            session.create_client("sqs", region_name=region, endpoint_url=endpoint_url)


def test_the_wire_is_used_for_hosts_in_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "amazonaws.com")
    assert find_endpoint(botocore.session.Session(), None, None).address.port == 443


def test_the_wire_is_not_used_with_a_client_configuration_of_the_session() -> None:
    session = botocore.session.Session()
    session.set_default_client_config(Config(proxies={"https": "http://proxy"}))
    with pytest.raises(StepAside):
        find_endpoint(session, None, None)
