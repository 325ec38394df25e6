"""Without botocore, calls use the same endpoint as with it, or botocore is imported to find it."""

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from sqsw.transport.wire.conditions import find_endpoint
from tests.life.serving import ROOT, plain_variables
from tests.unit.transport.wire.test_conditions import SOME_REGIONS, all_regions

pytestmark = pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="the settings of this system can have proxies"
)

#: variables, region, endpoint
Case = tuple[dict[str, str], str | None, str | None]


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the variables of this process; return them for the one without botocore."""
    found = plain_variables(tmp_path, "")
    del found["AWS_ENDPOINT_URL"]
    for name in set(os.environ) - set(found):
        monkeypatch.delenv(name)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def plain_endpoints(variables: dict[str, str], cases: list[Case]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.transport.wire.plain_endpoints"],
        input=json.dumps(cases),
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(done.stdout)
    assert len(found) == len(cases)
    return found


def endpoint_of_botocore(case: Case) -> Any:
    variables, region, endpoint_url = case
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        session = botocore.session.Session()
        # as ClientSource does
        region = region or os.environ.get("AWS_REGION") or None
        found = find_endpoint(session, region, endpoint_url)
    tls = None if found.tls is None else [True, ssl.CERT_REQUIRED]
    host, port, is_tls = found.address
    credentials = list(found.credentials())
    return [found.url, [host, port, is_tls], found.host, found.region, tls, credentials]


def test_the_endpoint_matches_a_botocore_session(variables: dict[str, str]) -> None:
    regions = [region for region in all_regions() if "fips" not in region]
    cases: list[Case] = [({}, region, None) for region in regions]
    cases += [({}, None, None)]
    cases += [({"AWS_REGION": "eu-west-1"}, None, None)]
    cases += [({"AWS_REGION": "eu-west-1"}, "sa-east-1", None)]
    cases += [({"AWS_SESSION_TOKEN": token}, None, None) for token in ("", "token")]
    cases += [({"AWS_EC2_METADATA_DISABLED": "true"}, None, None)]
    for url in ("http://a.example", "https://b:8443/", "http://127.0.0.1:80", "https://b:443"):
        cases += [({}, None, url), ({"AWS_ENDPOINT_URL": url}, None, None)]
        cases += [({"AWS_ENDPOINT_URL": "http://c:1", "AWS_ENDPOINT_URL_SQS": url}, None, None)]
        cases += [({"AWS_ENDPOINT_URL_SQS": "http://c:1"}, None, url)]
        cases += [({"AWS_ENDPOINT_URL_SQS": "", "AWS_ENDPOINT_URL": url}, None, None)]
    found = plain_endpoints(variables, cases)
    left_out = [case for case, endpoint in zip(cases, found, strict=True) if endpoint is None]
    for case, endpoint in zip(cases, found, strict=True):
        if endpoint is not None:
            assert endpoint == endpoint_of_botocore(case), case
    # Only regions outside the largest partition are left to botocore.
    assert all(region not in (None, "us-east-1", "eu-central-1") for _, region, _ in left_out)
    assert set(SOME_REGIONS[2:]) <= {region for _, region, _ in left_out}
    assert len(left_out) < len(regions) / 2


def test_other_settings_need_botocore(variables: dict[str, str]) -> None:
    understood = {
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"),
        *("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    }
    names: set[str] = set()
    for _, of_variable, _, _ in BOTOCORE_DEFAUT_SESSION_VARIABLES.values():
        names.update([of_variable] if isinstance(of_variable, str) else of_variable or ())
    assert {"AWS_PROFILE", "AWS_RETRY_MODE", "AWS_USE_FIPS_ENDPOINT"} <= names
    names |= {"AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_LAMBDA_FUNCTION_NAME"}
    names |= {"HTTP_PROXY", "https_proxy", "ALL_PROXY", "BOTOCORE_EXPERIMENTAL__PLUGINS"}
    cases: list[Case] = [({name: "1"}, None, None) for name in names - understood]
    cases += [({"AWS_ACCESS_KEY_ID": ""}, None, None), ({"AWS_SECRET_ACCESS_KEY": ""}, None, None)]
    regions = (
        "",
        "x#",
        "aws-global",
        "fips-us-east-1",
        "us-east-1-fips",
        "us-east-1\n",
        "US-EAST-1",
    )
    cases += [({"AWS_DEFAULT_REGION": region}, None, None) for region in regions]
    cases += [({"AWS_REGION": ""}, None, None)]
    cases += [
        ({}, None, url)
        for url in (
            *("", "localhost:9324", "ftp://a", "http://", "http://a..b", "http://a_b", "http://-a"),
            *("http://a/path", "http://a?query", "http://a#part", "http://u:p@a", "http://a:x"),
            *("http://a:65536", "http://a b", "http://a\r\n", "http://[::1]:9324", "http://\u00e4"),
        )
    ]
    cases += [({"AWS_CA_BUNDLE": "missing.pem"}, None, None)]
    found = plain_endpoints(variables, cases)
    for case, endpoint in zip(cases, found, strict=True):
        assert endpoint is None, case


def test_a_credential_that_cannot_be_sent_is_an_error(variables: dict[str, str]) -> None:
    (found,) = plain_endpoints(variables, [({"AWS_SESSION_TOKEN": "to\nken"}, None, None)])
    assert "AWS_SESSION_TOKEN" in found and "ken" not in found.replace("TOKEN", "")


def test_configuration_files_need_botocore(variables: dict[str, str]) -> None:
    (Path(variables["HOME"]) / ".aws").mkdir()
    assert plain_endpoints(variables, [({}, None, None)]) == [None]
