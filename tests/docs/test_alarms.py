"""The page about alarms names only metrics that exist."""

import re

import yaml

from sqsw.core.events import Pulse
from sqsw.observe.health import Health
from sqsw.observe.metrics import Metrics
from tests.docs.blocks import ROOT, blocks_of

PAGE = ROOT / "docs" / "how-to" / "alarms.md"
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
CLOUDWATCH = {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}


def test_every_metric_exists_in_a_worker_or_in_cloudwatch() -> None:
    health = Health()
    health(Pulse(1, 8, 0, {"a": 0}, 0, 0, 30, ready=True, problem=None))
    known = set(re.findall(r"^# TYPE (\w+) ", Metrics(health).text().decode(), re.M))
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"\bsqsw_\w+", text)) <= known
    assert set(re.findall(r"\bApproximate\w+", text)) == CLOUDWATCH


def test_prometheus_accepts_the_rules() -> None:
    (rules,) = (block.text for block in blocks_of(PAGE) if "rules of Prometheus" in block.about)
    (group,) = yaml.safe_load(rules)["groups"]
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
