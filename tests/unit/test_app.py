"""Loading an environment from an app path, and the errors on the way."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw.app import load_app, load_plugins, open_env, run_app
from sqsw.app.opening import check_job
from sqsw.app.plugins import PluginFailure
from sqsw.app.running import queues_to_work, run_queues
from sqsw.core.errors import AppLoadError, SettingsError, TaskAlreadyRegistered, TaskNotFound
from sqsw.core.events import JobDone
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.memory_sqs import MemorySession
from sqsw.shutdown_policies import IdleShutdown, MaxTasksShutdown
from sqsw.sqs_env import SQSEnv

TASKS = """
from sqsw.sqs_env import SQSEnv

env = SQSEnv()
legacy_env = SQSEnv()
number = 3


@env.processor("emails", "send_email")
def send_email(to, subject, body=""): ...


def make():
    return env


def make_nothing():
    return None


def make_by_name(name):
    return env
"""
ONE = "from myapp.tasks import env\n\n@env.processor('news', 'post')\ndef post(): ...\n"
REGISTRY = """
from sqsw.registry import TaskRegistry

tasks = TaskRegistry()


@tasks.task("reports", "build")
def build(year): ...
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Create the package ``myapp`` in the current directory."""
    package = tmp_path / "myapp"
    package.mkdir()
    files = {"__init__": "", "models": "", "tasks": TASKS, "one": ONE, "registry": REGISTRY}
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    path, modules = sys.path[:], set(sys.modules)
    yield package
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("myapp", "acme_")):
            del sys.modules[name]


def refusal(app_path: str) -> tuple[str, str | None, str | None]:
    """Return the three parts of the error for an app path."""
    with pytest.raises(AppLoadError) as caught:
        load_app(app_path)
    return caught.value.message, caught.value.why, caught.value.next


def test_the_environment_is_an_attribute_or_returned_by_a_function() -> None:
    env = load_app("myapp.tasks:env")
    assert isinstance(env, SQSEnv)
    assert load_app("myapp.tasks:make") is env
    assert sys.path[0] == str(Path.cwd())


def test_a_module_path_needs_exactly_one_environment() -> None:
    assert load_app("myapp.one") is load_app("myapp.tasks:env")
    assert refusal("myapp.tasks") == (
        "'myapp.tasks' has several SQSEnv objects",
        "they are: env, legacy_env",
        "choose one, such as 'myapp.tasks:env'",
    )


def test_a_module_with_a_task_registry_gets_a_new_environment() -> None:
    for app_path in ("myapp.registry", "myapp.registry:tasks"):
        (found,) = load_app(app_path).registrations()
        assert (found.queue_name, found.job_name, found.source) == ("reports", "build", "app")
    assert load_app("myapp.models").registrations() == []


def test_a_missing_module_is_reported_with_similar_names() -> None:
    assert refusal("myapp.task:env") == (
        "cannot import 'myapp.task'",
        "no module named 'myapp.task'; searched the current directory and sys.path; "
        "'myapp' has: models, one, registry, tasks",
        "did you mean 'myapp.tasks:env'?",
    )
    message, why, next_step = refusal("myap.tasks:env")
    assert message == "cannot import 'myap.tasks'"
    assert why is not None
    assert why.endswith("the current directory has: myapp")
    assert next_step == "did you mean 'myapp.tasks:env'?"


def test_a_package_without_init_is_suggested_too(home: Path) -> None:
    for name in ("shop", ".cache", "with space", "empty"):
        (home.parent / name).mkdir()
        if name != "empty":
            (home.parent / name / "tasks.py").write_text("")
    _, why, next_step = refusal("shoop.tasks:env")
    assert (why or "").endswith("the current directory has: myapp, shop")
    assert next_step == "did you mean 'shop.tasks:env'?"


def test_a_missing_attribute_is_reported_with_similar_names() -> None:
    assert refusal("myapp.tasks:app") == (
        "'myapp.tasks' has no SQSEnv named 'app'",
        "SQSEnv objects there: env, legacy_env",
        "did you mean 'myapp.tasks:env'?",
    )
    assert refusal("myapp.models:env")[1:] == ("SQSEnv objects there: none", None)


@pytest.mark.parametrize("app_path", ["queue:env", "queue"])
def test_a_file_hidden_by_a_python_module_is_reported(home: Path, app_path: str) -> None:
    (home.parent / "queue.py").write_text(TASKS)
    assert refusal(app_path) == (
        "cannot import your queue.py",
        "Python's own module 'queue' was imported first",
        "rename your queue.py",
    )


def test_a_dot_instead_of_the_colon_is_reported() -> None:
    assert refusal("myapp.tasks.env") == (
        "cannot import 'myapp.tasks.env'",
        "'myapp.tasks' is a module, and 'env' is a name in it",
        "did you mean 'myapp.tasks:env'?",
    )


@pytest.mark.parametrize(
    ("attribute", "why"),
    [
        ("number", "it is an object of the type int"),
        ("make_nothing", "it returns an object of the type NoneType"),
        ("make_by_name", "it needs arguments (missing a required argument: 'name')"),
    ],
)
def test_an_attribute_of_another_type_is_refused(attribute: str, why: str) -> None:
    message, told, _ = refusal(f"myapp.tasks:{attribute}")
    assert message == f"'myapp.tasks:{attribute}' is not an SQSEnv"
    assert told is not None
    assert told.startswith(f"{why}; expected an SQSEnv")


@pytest.mark.parametrize("app_path", ["", ":env", "myapp.tasks:"])
def test_an_incomplete_path_is_refused(app_path: str) -> None:
    assert refusal(app_path)[0] == f"{app_path!r} is not an app path"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "import os\nimport requets\n",
            "no module named 'requets', which is imported in {}, line 2",
        ),
        (
            "import myapp.nothing\n",
            "no module named 'myapp.nothing', which is imported in {}, line 1",
        ),
        ("from os import nothing\n", "ImportError: cannot import name 'nothing' from 'os' "),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero, raised in {}, line 2"),
        ("raise SystemExit('no')\n", "SystemExit: no, raised in {}, line 1"),
        ("\n  def (:\n", "IndentationError: unexpected indent, in {}, line 2: def (:"),
        (
            "class Dumb(Exception):\n    def __str__(self):\n        1 / 0\nraise Dumb\n",
            "Dumb: <its text cannot be read>, raised in {}, line 4",
        ),
        ("def (:\n", "SyntaxError: invalid syntax, in {}, line 1: def (:"),
    ],
)
def test_an_error_inside_the_app_is_shown(home: Path, text: str, why: str) -> None:
    (home / "broken.py").write_text(text)
    message, told, _ = refusal("myapp.broken:env")
    assert message == "cannot import 'myapp.broken'"
    assert told is not None
    assert told.startswith(why.format("myapp/broken.py"))


def test_several_apps_share_one_environment() -> None:
    session = MemorySession()
    paths = ["myapp.one", "myapp.registry", "myapp.tasks:env"]
    env = open_env(paths, session_maker=lambda: session, plugins=False)
    names = [(found.queue_name, found.job_name) for found in env.registrations()]
    assert names == [("emails", "send_email"), ("news", "post"), ("reports", "build")]
    assert env.clients.session is session
    with pytest.raises(AppLoadError, match="the apps have different SQSEnv objects"):
        open_env(["myapp.one", "myapp.tasks:legacy_env"], plugins=False)


def test_without_an_app_a_new_environment_is_created() -> None:
    assert open_env(plugins=False, queue_prefix="prod_").get_sqs_queue_name("a") == "prod_a"


def write_plugin(home: Path, name: str, module: str) -> None:
    """Create an installed distribution with one entry point."""
    info = home.parent / f"{name}-2.1.dist-info"
    info.mkdir()
    title = name.replace("_", "-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {title}\nVersion: 2.1\n")
    (info / "entry_points.txt").write_text(f"[sqsw.processors]\n{name} = {name}:register\n")
    (home.parent / f"{name}.py").write_text(module)


def test_plugins_register_their_jobs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(home.parent))
    write_plugin(
        home,
        "acme_mail",
        "def register(env):\n    @env.processor('emails', 'bounce')\n    def bounce(): ...\n",
    )
    env = load_app("myapp.tasks:env")
    assert load_plugins(env) == ["acme-mail 2.1"]
    sources = {found.job_name: found.source for found in env.registrations()}
    assert sources == {"send_email": "app", "bounce": "plugin acme-mail 2.1"}


def test_a_plugin_that_fails_does_not_stop_the_others(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(home.parent))
    write_plugin(home, "acme_bad", "raise RuntimeError('no disk')\n")
    write_plugin(home, "acme_mail", "def register(env): ...\n")
    told: list[PluginFailure] = []
    assert load_plugins(SQSEnv(), on_failure=told.append) == ["acme-mail 2.1"]
    assert told == [PluginFailure("acme_bad", "acme-bad 2.1", "RuntimeError: no disk")]
    with caplog.at_level(logging.WARNING):
        load_plugins(SQSEnv())
    assert [record.__dict__["event"] for record in caplog.records] == ["plugin_failed"]
    with pytest.raises(AppLoadError, match="the plugin 'acme_bad' of acme-bad"):
        load_plugins(SQSEnv(), strict=True)


def test_a_plugin_that_fails_halfway_registers_no_jobs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(home.parent))
    write_plugin(
        home,
        "acme_half",
        "from sqsw import SQSError\n"
        "def register(env):\n"
        "    @env.processor('emails', 'half')\n"
        "    def half(): ...\n"
        "    raise SQSError('no licence')\n",
    )
    env, told = SQSEnv(), list[PluginFailure]()
    assert load_plugins(env, on_failure=told.append) == []
    assert told[0].reason == "SQSError: no licence"
    assert env.registrations() == []


def test_an_error_in_an_environment_factory_is_reported(home: Path) -> None:
    (home / "makes.py").write_text("import os\n\n\ndef make():\n    return os.environ['NO_SUCH']\n")
    message, why, _ = refusal("myapp.makes:make")
    assert message == "'myapp.makes:make' failed to create an SQSEnv"
    assert why is not None
    assert "KeyError: 'NO_SUCH', raised in" in why


def test_two_names_for_the_same_queue_are_refused() -> None:
    env = SQSEnv(MemorySession())
    url = env.sqs_client.create_queue(QueueName="emails")["QueueUrl"]
    env.processor("emails", "send_email")(lambda: None)
    shares = [QueueShare("emails"), QueueShare(url)]
    with pytest.raises(SettingsError, match="given twice"):
        run_queues(env, shares, settings=WorkerSettings())


def test_a_job_registered_twice_is_reported_with_both_places(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(home.parent))
    write_plugin(
        home,
        "acme_mail",
        "def send_email(): ...\n"
        "def register(env):\n    env.processor('emails', 'send_email')(send_email)\n",
    )
    with pytest.raises(TaskAlreadyRegistered) as caught:
        open_env(["myapp.tasks:env"])
    assert caught.value.message == "job 'emails.send_email' is registered twice"
    assert caught.value.why == (
        "by myapp.tasks.send_email (app) and acme_mail.send_email (plugin acme-mail 2.1)"
    )


def test_a_job_is_checked_against_its_function() -> None:
    env = load_app("myapp.tasks:env")
    check_job(env, "emails", "send_email", {"to": "a", "subject": "b"})
    with pytest.raises(SettingsError) as refused:
        check_job(env, "emails", "send_email", {"to": "a", "subjct": "b"})
    assert refused.value.why == (
        "missing 'subject'; unexpected 'subjct'; signature (to, subject, body='')"
    )
    assert refused.value.code == "ArgumentError"  # for the summary of a bulk send: 1 argument error
    with pytest.raises(TaskNotFound) as unknown:
        check_job(env, "emails", "send_mail", {})
    assert unknown.value.next == "did you mean 'send_email'?"
    with pytest.raises(TaskNotFound):
        check_job(env, "nowhere", "send_mail", {})


def test_the_queues_to_process_are_those_with_jobs() -> None:
    env = open_env(["myapp.tasks:env", "myapp.one"], plugins=False)
    assert [share.queue_name for share in queues_to_work(env)] == ["emails", "news"]
    wanted = [QueueShare("news", slots=2)]
    assert queues_to_work(env, wanted) == wanted
    with pytest.raises(TaskNotFound, match="no jobs are registered for the queue 'nwes'"):
        queues_to_work(env, [QueueShare("nwes")])
    with pytest.raises(SettingsError, match="there are no jobs to run"):
        queues_to_work(SQSEnv())
    with pytest.raises(SettingsError, match="requires exactly one queue"):
        queues_to_work(env, processors_from="emails")
    dead = [QueueShare("emails_dead")]
    assert queues_to_work(env, dead, processors_from="emails") == dead
    with pytest.raises(TaskNotFound):
        queues_to_work(env, dead, processors_from="nowhere")


SETTINGS = WorkerSettings(concurrency=1, wait_seconds=1)


def test_an_app_runs_until_its_policy_stops_it() -> None:
    session = MemorySession()
    client = session.client("sqs")
    client.create_queue(QueueName="news")
    open_env(["myapp.one"], session_maker=lambda: session).add_job("news", "post")
    events: list[object] = []
    report = run_app(
        ["myapp.one"],
        [QueueShare("news")],
        settings=SETTINGS,
        shutdown_policy_maker=lambda: MaxTasksShutdown(1),
        session_maker=lambda: session,
        listeners=[events.append],
    )
    assert (report.done, report.stopped_by) == (1, "max_jobs")
    with pytest.raises(
        SettingsError, match="cannot have group_slots"
    ):  # every field of a share is used
        client.create_queue(QueueName="news.fifo", Attributes={"FifoQueue": "true"})
        run_queues(
            open_env(session_maker=lambda: session, plugins=False),
            [QueueShare("news.fifo", group_slots=2)],
            settings=SETTINGS,
            shutdown_policy_maker=lambda: IdleShutdown(0),
        )
    assert any(isinstance(event, JobDone) for event in events)


def test_a_queue_given_by_url_is_processed_under_its_name() -> None:
    session = MemorySession()
    url = session.client("sqs").create_queue(QueueName="team_news")["QueueUrl"]
    session.client("sqs").create_queue(QueueName="prod_news")
    env = open_env(["myapp.one"], session_maker=lambda: session, queue_prefix="team_")
    env.add_job("news", "post")
    env.connect_to(queue_prefix="prod_")
    env.queue("team_news").connect_processor("post", lambda: None)
    report = run_queues(
        env,
        [QueueShare(url)],
        settings=SETTINGS,
        shutdown_policy_maker=lambda: MaxTasksShutdown(1),
    )
    assert report.done == 1


def test_a_dead_letter_queue_can_be_processed_with_the_jobs_of_its_source() -> None:
    session = MemorySession()
    session.client("sqs").create_queue(QueueName="news_dead")
    env = open_env(["myapp.one"], session_maker=lambda: session)
    env.queue("other", batching_policy=env.queue("news").batching_policy)
    report = run_queues(
        env,
        [QueueShare("news_dead")],
        settings=SETTINGS,
        shutdown_policy_maker=lambda: IdleShutdown(0),
        processors_from="news",
    )
    assert report.done == 0
    assert env.queue("news_dead").get_processor("post") is not None


@pytest.mark.parametrize(
    ("app_path", "meant"),
    [
        ("myapp/tasks.py", "did you mean 'myapp.tasks'?"),
        ("./myapp/tasks.py:other", "did you mean 'myapp.tasks:other'?"),
        ("../elsewhere/tasks.py", None),
    ],
)
def test_a_file_path_is_refused_with_the_module_to_use(app_path: str, meant: str | None) -> None:
    message, why, next_step = refusal(app_path)
    assert message == f"{app_path!r} is not an app path"
    assert why is not None and "it is a file" in why
    assert next_step == meant


def test_the_error_for_a_dead_letter_queue_suggests_the_jobs_of_its_source() -> None:
    env = SQSEnv()
    env.processor("emails", "send")(print)
    env.processor("orders.fifo", "ship")(print)
    for name, source in (("emails_dead", "emails"), ("orders-dlq.fifo", "orders.fifo")):
        with pytest.raises(TaskNotFound) as caught:
            queues_to_work(env, [QueueShare(name)])
        assert caught.value.source == source
        assert caught.value.next is not None
        assert caught.value.next.endswith(f"its jobs: processors_from={source!r}")
    with pytest.raises(TaskNotFound) as caught:
        queues_to_work(env, [QueueShare("emials")])
    assert (caught.value.similar, caught.value.next) == ("emails", "did you mean 'emails'?")
