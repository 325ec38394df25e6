"""``sqsw create-queue``."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Sqsw
from tests.unit.cli.test_terminal import on_terminal


def test_a_queue_and_its_dead_letter_queue_are_created(sqsw: Sqsw) -> None:
    ran = sqsw("create-queue --fifo --dlq emails_dead")
    assert ran.code == 0
    assert [line.split("\t")[:2] for line in ran.out.splitlines()] == [
        ["emails_dead.fifo", "created"],
        ["emails.fifo", "created"],
    ]
    dead, queue = sqsw("create-queue --fifo --dlq emails_dead --json").objects
    assert (dead["name"], queue["name"]) == ("emails_dead.fifo", "emails.fifo")
    assert (queue["dlq"], queue["max_receives"], queue["fifo"]) == ("emails_dead.fifo", 12, True)
    assert dead["attributes"]["MessageRetentionPeriod"] == "1209600"
    assert queue["attributes"]["ReceiveMessageWaitTimeSeconds"] == "20"
    assert (dead["action"], queue["action"]) == ("unchanged", "unchanged")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("emails", ["emails"]),
        ("emails.fifo", ["emails.fifo"]),
        ("emails --content-dedup", ["emails.fifo"]),
        ("emails --high-throughput --dlq dead", ["dead.fifo", "emails.fifo"]),
        ("emails.fifo --dlq dead", ["dead.fifo", "emails.fifo"]),
        ("--dlq emails-dlq.fifo", ["emails-dlq.fifo", "emails.fifo"]),
    ],
)
def test_fifo_is_implied_by_names_and_options(sqsw: Sqsw, words: str, names: list[str]) -> None:
    ran = sqsw(f"create-queue {words} --json")
    assert [queue["name"] for queue in ran.objects] == names


def test_every_option_reaches_sqs(sqsw: Sqsw) -> None:
    ran = sqsw(
        "create-queue orders.fifo --visibility-timeout 2m --retention 14d --delay 1m "
        "--content-dedup --high-throughput --kms alias/x --tag team=data "
        "--attribute ReceiveMessageWaitTimeSeconds=3 --json"
    )
    (queue,) = ran.objects
    wanted = {
        "VisibilityTimeout": "120",
        "MessageRetentionPeriod": "1209600",
        "DelaySeconds": "60",
        "ContentBasedDeduplication": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "KmsMasterKeyId": "alias/x",
        "ReceiveMessageWaitTimeSeconds": "3",
    }
    assert {key: queue["attributes"].get(key) for key in wanted} == wanted
    assert queue["tags"] == {"team": "data"}


def test_other_settings_are_an_error_and_update_changes_them(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    ran = sqsw("create-queue emails --dlq emails_dead --visibility-timeout 2m")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "error: 'emails' exists with other settings",
        "  why:  VisibilityTimeout is 30 (requested: 120); "
        "the dead-letter queue is none (requested: emails_dead)",
        "  next: change it: sqsw create-queue --update emails --dlq emails_dead "
        "--visibility-timeout 2m",
    ]
    ran = sqsw("create-queue emails --dlq emails_dead --visibility-timeout 2m --update --json")
    assert [queue["action"] for queue in ran.objects] == ["created", "updated"]


def test_a_dry_run_creates_nothing(sqsw: Sqsw) -> None:
    ran = sqsw("create-queue --dlq emails_dead --dry-run --json")
    assert [queue["action"] for queue in ran.objects] == ["would_create", "would_create"]
    assert sqsw("inspect --json").out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "no queue is named, and no app is configured"),
        ("emails --app myapp.tasks:env", "--app and NAME cannot be used together"),
        ("--dlq emails_dead --app myapp.tasks:env", "--app and --dlq cannot be used together"),
        ("--app myapp.tasks:env --retention 2d", "--retention cannot be used with --app"),
        ("--app myapp.tasks:env --attribute A=b", "--attribute cannot be used with --app"),
        ("--app myapp", "no jobs are registered, so there are no queues to create"),
        ("emails --dlq emails", "'emails' cannot be its own dead-letter queue"),
        ("emails --max-receives 3", "--max-receives needs --dlq"),
        ("--dlq graveyard", "cannot derive a queue name from the dead-letter queue 'graveyard'"),
        ("emails --visibility-timeout 13h", "invalid value for '--visibility-timeout'"),
    ],
)
def test_invalid_combinations_are_refused(sqsw: Sqsw, words: str, message: str) -> None:
    ran = sqsw(f"create-queue {words}")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {message}")


APP = """
from sqsw.sqs_env import SQSEnv

env = SQSEnv()

for queue in ("emails", "orders.fifo", "reports", "reports_dead"):
    env.queue(queue).processor("work")(print)
"""

FILE = """
app = "shop:env"

[queues.emails]
dlq = "failed"
max_receives = 3
visibility_timeout = "2m"
retention = "7d"

[queues.orders]
fifo = true
content_dedup = true

[queues.reports]
delay = 5

[queues.failed]
retention = 600
"""


class TestAllQueuesOfAnApp:
    @pytest.fixture(autouse=True)
    def shop(self, home: Path) -> None:
        (home / "shop.py").write_text(APP)

    def test_they_get_the_settings_of_the_file(self, sqsw: Sqsw, home: Path) -> None:
        (home / "sqsw.toml").write_text(FILE)
        forecast = sqsw("create-queue --dry-run --json").objects
        ran = sqsw("create-queue --tag team=crm --json")
        assert ran.code == 0
        assert [one["name"] for one in forecast] == [one["name"] for one in ran.objects]
        assert [(one["name"], one["action"], one["dlq"]) for one in ran.objects] == [
            ("failed", "created", None),
            ("emails", "created", "failed"),
            ("orders_dead.fifo", "created", None),
            ("orders.fifo", "created", "orders_dead.fifo"),
            ("reports_dead", "created", None),
            ("reports", "created", "reports_dead"),
        ]
        found = {one["name"]: one for one in ran.objects}
        assert found["emails"]["max_receives"] == 3
        for name, key, value in (
            ("emails", "VisibilityTimeout", "120"),
            ("emails", "MessageRetentionPeriod", "604800"),
            ("failed", "MessageRetentionPeriod", "600"),
            ("orders.fifo", "ContentBasedDeduplication", "true"),
            ("reports", "DelaySeconds", "5"),
            ("reports_dead", "MessageRetentionPeriod", "1209600"),
        ):
            assert found[name]["attributes"][key] == value
        assert {one["tags"]["team"] for one in ran.objects} == {"crm"}

    def test_a_second_run_changes_nothing(self, sqsw: Sqsw, home: Path) -> None:
        (home / "sqsw.toml").write_text(FILE)
        assert sqsw("create-queue").code == 0
        assert {one["action"] for one in sqsw("create-queue --json").objects} == {"unchanged"}

    def test_only_configured_settings_of_an_existing_queue_count(self, sqsw: Sqsw) -> None:
        sqsw("create-queue emails --visibility-timeout 1m")
        sqsw("create-queue reports --dlq graveyard")
        ran = sqsw("create-queue --app shop:env --json")
        found = {one["name"]: (one["action"], one["dlq"]) for one in ran.objects}
        assert (found["emails"], found["reports"]) == (
            ("unchanged", None),
            ("unchanged", "graveyard"),
        )

    def test_nothing_is_created_if_one_queue_differs(self, sqsw: Sqsw, home: Path) -> None:
        sqsw("create-queue reports --dlq graveyard --max-receives 4")
        (home / "sqsw.toml").write_text("[queues.reports]\nmax_receives = 5\ndlq = 'graveyard'\n")
        ran = sqsw("create-queue --app shop:env")
        assert ran.code == 1
        assert ran.err.splitlines() == [
            "error: 'reports' exists with other settings",
            "  why:  maxReceiveCount is 4 (requested: 5)",
            "  next: change it: sqsw create-queue --update --app shop:env",
        ]
        assert sorted(sqsw.env.get_all_known_queues()) == ["graveyard", "reports"]
        (home / "sqsw.toml").write_text("[queues.reports]\nmax_receives = 5\n")
        assert sqsw("create-queue --app shop:env --update").code == 0
        (reports,) = sqsw("inspect reports --json").objects
        assert (reports["dlq"], reports["max_receives"]) == ("graveyard", 5)

    def test_settings_for_an_unknown_queue_are_reported(self, sqsw: Sqsw, home: Path) -> None:
        (home / "sqsw.toml").write_text("[queues.reprots]\ndelay = 3\n[queues.a]\nweight = 2\n")
        assert sqsw("create-queue --app shop:env").err.splitlines() == [
            "warning: the settings of the queue 'reprots' are not used",
            "  why:  the app has no jobs for it",
            "  next: did you mean 'reports'?",
        ]

    def test_a_named_queue_needs_no_app(self, sqsw: Sqsw, home: Path) -> None:
        (home / "sqsw.toml").write_text('app = "nowhere:env"\n')
        assert sqsw("create-queue emails").code == 0
        assert sqsw("create-queue").code == 7

    @pytest.mark.parametrize(
        ("words", "following"),
        [("create-queue --app shop:env", "sqsw work shop:env"), ("create-queue", "sqsw work")],
    )
    def test_the_next_command_names_the_app_only_if_it_was_typed(
        self, sqsw: Sqsw, home: Path, words: str, following: str
    ) -> None:
        (home / "sqsw.toml").write_text('app = "shop:env"\n')
        assert f"next: {following}\n" in on_terminal(sqsw, words)[1]

    def test_an_option_is_not_the_name_of_an_app(self, sqsw: Sqsw) -> None:
        ran = sqsw("create-queue --app --dry-run")
        assert ran.code == 2
        assert "'--dry-run' is an option, not the name of an app" in ran.err

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("delay = '20m'", "'20m' is out of range: it must be between 0s and 15m"),
            ("retention = true", "must be a duration"),
            ("dlq = true", "must be a string, or false for none"),
            ("fifo = 1", "must be true or false"),
            ("max_receives = '3'", "must be a number of 1 or more"),
        ],
    )
    def test_a_wrong_value_names_its_key(
        self, sqsw: Sqsw, home: Path, line: str, reason: str
    ) -> None:
        (home / "sqsw.toml").write_text(f"[queues.emails]\n{line}\n")
        for command in ("create-queue --app shop:env", "work shop:env"):
            ran = sqsw(command)
            assert ran.code == 2
            key = line.split()[0]
            assert ran.err.splitlines()[:2] == [
                f"error: 'queues.emails.{key}' in {home / 'sqsw.toml'} cannot be used",
                f"  why:  {reason}",
            ]


def test_yes_is_accepted(sqsw: Sqsw) -> None:
    assert sqsw("create-queue emails --yes").code == 0
