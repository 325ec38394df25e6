# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Serialization: JSON and pickle."""

import datetime

import pytest

from sqsw import SQSEnv, create_standard_queue
from sqsw.codecs import JSONCodec, PickleCodec, PickleCompatCodec
from tests.seed.conftest import work

pytestmark = pytest.mark.usefixtures("place")

WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5)


def test_json_is_the_default() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")
    seen = []

    @sqs.queue("emails").processor("send_email")
    def send_email(to, options):
        seen.append((to, options))

    send_email.delay("ann@example.com", {"cc": ["bob@example.com"], "urgent": True, "rate": 0.5})
    assert sqs.process_batch("emails", wait_seconds=1).succeeded_count() == 1
    assert seen == [("ann@example.com", {"cc": ["bob@example.com"], "urgent": True, "rate": 0.5})]


@pytest.mark.parametrize("codec", ["pickle", "pickle_compat"])
def test_pickle_carries_values_that_json_cannot(codec: str) -> None:
    sqs = SQSEnv(codec=codec, accept=("json", "pickle", "pickle_compat"))
    create_standard_queue(sqs, "emails")
    seen = []

    @sqs.queue("emails").processor("send_email")
    def send_email(to, at):
        seen.append((to, at))

    send_email.delay(to={"ann@example.com"}, at=WHEN)
    assert sqs.process_batch("emails", wait_seconds=1).succeeded_count() == 1
    assert seen == [({"ann@example.com"}, WHEN)]


def test_one_job_can_be_sent_with_another_codec() -> None:
    sqs = SQSEnv(accept=("json", "pickle"))
    create_standard_queue(sqs, "emails")
    seen = []

    @sqs.queue("emails").processor("send_email")
    def send_email(at):
        seen.append(at)

    send_email.delay(at="json")
    send_email.delay(at=WHEN, _content_type="pickle")
    sqs.queue("emails").add_job("send_email", _content_type="pickle", at=WHEN)
    assert work(sqs, "emails", 3) == (3, 0)
    assert sorted(map(str, seen)) == sorted(["json", str(WHEN), str(WHEN)])


@pytest.mark.parametrize("codec", [JSONCodec, PickleCodec, PickleCompatCodec])
def test_a_codec_works_without_an_instance(codec) -> None:
    arguments = {"to": "ann@example.com", "count": 2}
    assert codec.deserialize(codec.serialize(arguments)) == arguments
