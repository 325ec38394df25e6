"""The tools of each platform accept the files in examples/deploy, and their commands exist."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import kubernetes_validate
import pytest
import yaml
from botocore.session import get_session
from botocore.validate import ParamValidator
from jsonschema import Draft202012Validator

from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.checks import check_queue
from tests.docs.blocks import ROOT
from tests.docs.command_lines import options_of

DEPLOY = ROOT / "examples" / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"
UNIT = DEPLOY / "sqsw-worker.service"
#: The version whose schema the manifest must match: unhealthyPodEvictionPolicy is stable in it.
KUBERNETES = "1.31"
APP = """
from sqsw import SQSEnv

env = SQSEnv()


@env.processor("reports", "build")
def build(year):
    open("built.txt", "a").write(f"{year}\\n")
"""


def directives(text: str, name: str) -> list[str]:
    """Return the values of a directive of the unit."""
    return re.findall(rf"^{name}=(.*)$", text, re.M)


def test_the_unit_lets_the_worker_drain() -> None:
    text = UNIT.read_text(encoding="utf-8")
    (command,) = directives(text, "ExecStart")
    options = options_of(shlex.split(command))
    (seconds,) = directives(text, "TimeoutStopSec")
    assert options["drain_timeout"] == 50 < int(seconds)
    assert directives(text, "RestartPreventExitStatus") == ["2 7"]
    # Without --strict, it only says that jobs were returned.
    assert (directives(text, "SuccessExitStatus"), options["strict"]) == (["5"], False)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / "sqsw-worker.service"
    # The program must exist, but the user does not exist on this machine.
    program = tmp_path / "sqsw"  # a path without spaces, which a unit would split
    program.symlink_to(sys.executable)
    text = text.replace("/srv/myapp/.venv/bin/sqsw", str(program)).replace("User=myapp\n", "")
    for given, code in ((text, 0), (text.replace("Restart=always", "Restart=perhaps"), 1)):
        unit.write_text(given, encoding="utf-8")
        verified = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if "Failed to initialize manager" in verified.stderr:
            pytest.skip(f"systemd-analyze does not work here: {verified.stderr}")
        said = [
            line
            for line in verified.stderr.splitlines()
            # systemd before version 254 ignores the steps of RestartSec.
            if "sqsw-worker.service" in line and "Unknown key 'Restart" not in line
        ]
        assert bool(said) == bool(code), verified.stderr


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_the_unit_is_hardened() -> None:
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "unrecognized option" in judged.stderr:
        pytest.skip("this systemd-analyze cannot check files")
    assert judged.returncode == 0, judged.stdout  # an exposure of at most 2.0 of 10


def manifests(name: str) -> dict[str, Any]:
    """Return the documents of a file, by kind."""
    documents = yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


def test_kubernetes_knows_every_key_of_the_manifest() -> None:
    found = manifests("kubernetes.yaml")
    assert list(found) == ["ServiceAccount", "Deployment", "PodDisruptionBudget"]
    for document in found.values():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found["Deployment"], KUBERNETES, strict=True)


def test_keda_scales_the_deployment_of_the_manifest() -> None:
    schema = json.loads((SCHEMAS / "keda.json").read_text(encoding="utf-8"))
    found = manifests("keda.yaml")
    for document in found.values():
        Draft202012Validator(schema).validate(document)
    spec = found["ScaledObject"]["spec"]
    deployment = manifests("kubernetes.yaml")["Deployment"]
    assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    (trigger,) = spec["triggers"]
    assert (
        trigger["authenticationRef"]["name"] == found["TriggerAuthentication"]["metadata"]["name"]
    )
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "made-by-keda"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", **spec["scaleTargetRef"]},
            "maxReplicas": spec["maxReplicaCount"],
            **spec["advanced"]["horizontalPodAutoscalerConfig"],
        },
    }
    kubernetes_validate.validate(scaler, KUBERNETES, strict=True)


def test_the_manifest_lets_the_worker_drain_and_survive_an_outage() -> None:
    found = manifests("kubernetes.yaml")
    manifest = found["Deployment"]
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    options = options_of([*container["command"], *container["args"]])
    assert options["concurrency"] == 16
    assert options["drain_timeout"] < pod["terminationGracePeriodSeconds"]
    host, port = options["http"]
    assert (host, [{"name": "http", "containerPort": port}]) == ("0.0.0.0", container["ports"])
    probes = {name: container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    assert {name: tuple(probe["httpGet"].values()) for name, probe in probes.items()} == {
        "startup": ("/live", "http"),
        "liveness": ("/live", "http"),
        "readiness": ("/ready", "http"),
    }
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    for selecting in (manifest, found["PodDisruptionBudget"]):
        assert selecting["spec"]["selector"]["matchLabels"] == labels
    assert pod["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    (mount,) = container["volumeMounts"]
    assert (mount["mountPath"], "emptyDir" in volumes[mount["name"]]) == ("/tmp", True)


def instructions(name: str) -> list[str]:
    """Return the words after each ENTRYPOINT, CMD and so on of the last stage, without comments."""
    stage = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").rpartition("FROM ")[2]
    return re.findall(rf"^{name} (.*)$", stage, re.M)


def test_the_image_runs_a_worker_and_checks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (entrypoint,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")
    (variables,) = instructions("ENV")
    assert "PYTHONUNBUFFERED=1" in variables.split()
    for variable in variables.split():
        name, _, value = variable.partition("=")
        if name.startswith("SQSW_"):
            monkeypatch.setenv(name, value)
    options = options_of([*json.loads(entrypoint), *json.loads(command)])
    (check,) = instructions("HEALTHCHECK")
    asked = options_of(json.loads(check.partition(" CMD ")[2]))
    host, port = options["http"]
    assert (host, asked["worker"]) == ("127.0.0.1", str(port))
    (seconds,) = re.findall(r"--timeout=(\d+)s", check)
    assert asked["timeout"] < int(seconds)


def test_compose_lets_the_worker_drain() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    options = options_of(["sqsw", *service["worker"]["command"]])
    seconds = int(service["worker"]["stop_grace_period"].removesuffix("s"))
    assert options["drain_timeout"] == 50 < seconds


def valid_request(service: str, operation: str, request: dict[str, Any]) -> None:
    """Check a request as botocore does before it sends it, including the values of enums."""
    shape = get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    for path, value, allowed in _enums(shape, request):
        assert value in allowed, (path, value, allowed)


def _enums(shape: Any, value: Any, path: str = "") -> Iterator[tuple[str, str, list[str]]]:
    if shape.type_name == "structure":
        for key, one in value.items():
            yield from _enums(shape.members[key], one, f"{path}.{key}")
    elif shape.type_name == "list":
        for one in value:
            yield from _enums(shape.member, one, path)
    elif shape.type_name == "string" and shape.enum:
        yield path, value, shape.enum


def test_ecs_accepts_the_task_definition_and_lets_the_worker_drain() -> None:
    task = json.loads((DEPLOY / "ecs-task-definition.json").read_text(encoding="utf-8"))
    valid_request("ecs", "RegisterTaskDefinition", task)
    (container,) = task["containerDefinitions"]
    options = options_of(["sqsw", *container["command"]])
    assert options["drain_timeout"] < container["stopTimeout"] <= 120  # the maximum of Fargate
    kind, *check = container["healthCheck"]["command"]
    asked = options_of(check)
    assert (kind, asked["worker"]) == ("CMD", str(options["http"][1]))
    assert asked["timeout"] < container["healthCheck"]["timeout"]
    assert [mount["sourceVolume"] for mount in container["mountPoints"]] == ["tmp"]


def test_auto_scaling_accepts_the_policy() -> None:
    policy = json.loads((DEPLOY / "ecs-scaling-policy.json").read_text(encoding="utf-8"))
    valid_request("application-autoscaling", "PutScalingPolicy", policy)
    config = policy["TargetTrackingScalingPolicyConfiguration"]
    *metrics, result = config["CustomizedMetricSpecification"]["Metrics"]
    known = {metric["Id"] for metric in metrics}
    assert set(re.findall(r"\b[a-z]+\b", result["Expression"])) == known
    assert [one["ReturnData"] for one in (*metrics, result)] == [False, False, False, True]


class Terraform:
    """The contents of main.tf."""

    def __init__(self) -> None:
        with (DEPLOY / "terraform" / "main.tf").open(encoding="utf-8") as file:
            self._blocks: dict[str, Any] = hcl2.load(file)

    def all(self, kind: str, block: str = "resource") -> dict[str, dict[str, Any]]:
        """Return the blocks of a type, by name."""
        return {
            name.strip('"'): {key: _plain(value) for key, value in body.items()}
            for each in self._blocks[block]
            for type_, named in each.items()
            if type_.strip('"') == kind
            for name, body in named.items()
        }

    def actions(self, document: str) -> dict[str, set[str]]:
        """Return the actions of a policy, by queue."""
        statements = self.all("aws_iam_policy_document", "data")[document]["statement"]
        return {
            resource: {_plain(action) for action in statement["actions"]}
            for statement in statements
            for resource in re.findall(r"aws_sqs_queue\.(\w+)", str(statement["resources"]))
        }


def _plain(value: Any) -> Any:
    return value.strip('"') if isinstance(value, str) else value


#: Arguments of ``aws_sqs_queue``, with SQS's names.
SQS_NAMES = {
    "visibility_timeout_seconds": "VisibilityTimeout",
    "message_retention_seconds": "MessageRetentionPeriod",
    "receive_wait_time_seconds": "ReceiveMessageWaitTimeSeconds",
    "sqs_managed_sse_enabled": "SqsManagedSseEnabled",
}


def test_doctor_has_no_complaint_about_the_queues_of_terraform() -> None:
    queues = Terraform().all("aws_sqs_queue")
    env = SQSEnv(MemorySession())
    client = env.clients.session.client("sqs")

    def create(name: str, queue: dict[str, Any], **attributes: str) -> str:
        given = {
            SQS_NAMES[key]: str(value).lower()
            for key, value in queue.items()
            if key not in ("name", "redrive_policy") and not key.startswith("__")
        }
        url = client.create_queue(QueueName=name, Attributes={**given, **attributes})["QueueUrl"]
        return str(env.queue_client(url).attributes("QueueArn")["QueueArn"])

    redrive = queues["jobs"]["redrive_policy"]
    assert "deadLetterTargetArn = aws_sqs_queue.dead.arn" in redrive
    (receives,) = re.findall(r"maxReceiveCount = (\d+)", redrive)
    arn = create("emails_dead", queues["dead"])
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
    create("emails", queues["jobs"], RedrivePolicy=policy)
    assert {check.status for check in check_queue(env, "emails")} == {"ok", "skip"}


def test_cloudwatch_accepts_the_alarms_of_terraform() -> None:
    alarms = Terraform().all("aws_cloudwatch_metric_alarm")
    assert set(alarms) == {"dead_letters", "age"}
    for alarm in alarms.values():
        request = {
            "".join(word.capitalize() for word in key.split("_")).replace("Ok", "OK"): value
            for key, value in alarm.items()
            if not key.startswith("__")
        }
        request |= {"AlarmActions": [], "OKActions": []}
        request["Dimensions"] = [
            {"Name": name, "Value": value} for name, value in request["Dimensions"].items()
        ]
        valid_request("cloudwatch", "PutMetricAlarm", request)


def test_every_name_in_terraform_is_declared() -> None:
    text = (DEPLOY / "terraform" / "main.tf").read_text(encoding="utf-8")
    declared = {
        ".".join(words).replace("variable.", "var.").replace("resource.", "")
        for words in re.findall(r'^(resource|data) "(\w+)" "(\w+)"', text, re.M)
    } | {f"var.{name}" for name in re.findall(r'^variable "(\w+)"', text, re.M)}
    used = set(re.findall(r"(?<![\w.])((?:data\.)?aws_\w+\.\w+|var\.\w+)", text))
    assert used <= declared
    if shutil.which("terraform") is not None:
        checked = subprocess.run(
            ["terraform", "fmt", "-check", "-diff", str(DEPLOY / "terraform")],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert checked.returncode == 0, checked.stdout


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the commands of the crontab, for a directory in place of /srv/myapp."""
    monkeypatch.setenv("SQSW_LOCAL", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "tasks.py").write_text(APP)
    program = tmp_path / ".venv" / "bin" / "sqsw"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sqsw_cli "$@"\n')
    program.chmod(0o755)
    text = (DEPLOY / "crontab").read_text(encoding="utf-8")
    found = re.findall(r"^(?:\S+ ){4}\S+ +(cd .*)$", text, re.M)
    assert len(found) == 3
    return [line.replace("/srv/myapp", str(tmp_path)) for line in found]


def cron(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line as cron does: with sh and without a terminal."""
    assert "%" not in line
    command = line.replace("--until-idle 30", "--until-idle 1")
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


def test_the_lines_of_the_crontab_send_work_and_watch(lines: list[str], tmp_path: Path) -> None:
    send, work, watch = lines
    made = cron(f"cd {tmp_path} && .venv/bin/sqsw create-queue reports --dlq reports_dead")
    assert made.returncode == 0, made.stderr
    assert cron(send).stdout == ""
    done = cron(work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "built.txt").read_text() == "2026\n"
    assert cron(watch).stdout == ""

    letter = cron(f"cd {tmp_path} && .venv/bin/sqsw send reports_dead build year:=2026")
    assert letter.returncode == 0, letter.stderr
    assert cron(watch).stdout == "dead letters in reports_dead\n"


def test_a_second_run_does_not_start_while_the_first_one_runs(
    lines: list[str], tmp_path: Path
) -> None:
    work = lines[1]
    lock = subprocess.Popen(
        [sys.executable, "-c", LOCK.format(path=str(tmp_path / "reports.lock"))],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    )
    with lock:
        assert lock.stdout is not None and lock.stdout.readline() == b"held\n"
        begun = time.monotonic()
        second = cron(work)
        assert (second.returncode, second.stdout) == (0, ""), second.stderr
        assert "held by another process" in second.stderr
        assert time.monotonic() - begun < 60
        lock.communicate()


LOCK = """
import fcntl, sys
file = open({path!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
