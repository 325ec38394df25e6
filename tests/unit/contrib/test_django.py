"""``sqsw.contrib.django``, in separate processes because Django's settings are global."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

pytest.importorskip("django")

SETTINGS = """
from shop.timing import Timing

SECRET_KEY = "key"
INSTALLED_APPS = ["sqsw.contrib.django", "django.contrib.contenttypes", "orders"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db", **AGE}}
SQSW = {"queue_prefix": "shop-", "middlewares": [Timing()]}
"""
TIMING = """
from contextlib import contextmanager


class Timing:
    @contextmanager
    def around(self, job):
        from django.db import connection

        connection.ensure_connection()
        yield
        print("in the job:", connection.connection is not None)
"""
TASKS = """
from django.contrib.contenttypes.models import ContentType
from sqsw.contrib.django import env


@env.processor("orders", "count")
def count():
    print("query in the job")
    if ContentType._meta.app_label != "contenttypes":
        raise AssertionError
"""
RUN = """
from sqsw.contrib.django import DatabaseConnections, env
from sqsw import MemorySession, create_standard_queue
from django.db import connection
import orders.tasks

assert isinstance(env.middlewares[0], DatabaseConnections) and len(env.middlewares) == 2
with env.connected_to(session=MemorySession()):
    create_standard_queue(env, "orders")
    assert "shop-orders" in env.queue_client("orders").url
    orders.tasks.count.delay()
    assert env.process_batch("orders").errors == []
print("after the job:", connection.connection is not None)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "shop/__init__.py": "",
        "shop/timing.py": TIMING,
        "orders/__init__.py": "",
        "orders/tasks.py": TASKS,
        "run.py": RUN,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def python(project: Path, *words: str, settings: str = "shop.settings") -> tuple[int, str]:
    """Run Python; return the exit code and all output."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env={"PYTHONPATH": f"{project}:{ROOT}", "DJANGO_SETTINGS_MODULE": settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("age", "stays"), [(0, False), (None, True)])
def test_a_connection_is_closed_after_the_job_unless_it_can_stay(
    project: Path, age: int | None, stays: bool
) -> None:
    settings = SETTINGS.replace("**AGE", f"'CONN_MAX_AGE': {age}")
    (project / "shop" / "settings.py").write_text(settings)
    code, written = python(project, "run.py")
    assert (code, written.splitlines()) == (
        0,
        ["query in the job", "in the job: True", f"after the job: {stays}"],
    )


def test_a_worker_finds_the_jobs_of_all_installed_apps(project: Path) -> None:
    (project / "shop" / "settings.py").write_text(SETTINGS.replace("**AGE", ""))
    command = ("-m", "sqsw_cli", "inspect", "--tasks", "--app", "sqsw.contrib.django:env")
    code, written = python(project, *command)
    assert code == 0, written
    assert written.split()[:3] == ["orders", "count", "orders.tasks.count"]


@pytest.mark.parametrize(
    ("app", "settings", "step"),
    [
        ("orders.tasks", "", "set DJANGO_SETTINGS_MODULE, such as to mysite.settings"),
        (
            "sqsw.contrib.django:env",
            "",
            "set DJANGO_SETTINGS_MODULE, such as to mysite.settings",
        ),
        ("models_first", "shop.settings", "call django.setup() before you import models"),
    ],
)
def test_the_error_of_an_app_that_cannot_be_loaded_says_what_django_needs(
    project: Path, app: str, settings: str, step: str
) -> None:
    (project / "shop" / "settings.py").write_text(SETTINGS.replace("**AGE", ""))
    models = "from django.contrib.contenttypes.models import ContentType\n"
    (project / "models_first.py").write_text(models)
    code, written = python(project, "-m", "sqsw_cli", "work", app, settings=settings)
    assert code == 7
    assert f"next: {step}" in written
