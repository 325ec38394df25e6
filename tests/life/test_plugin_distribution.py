"""A plugin as a third party would ship it: a separate distribution, installed next to sqsw."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from textwrap import dedent

import pytest

PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "acme-mail"
    version = "2.1"

    [project.entry-points."sqsw.processors"]
    mail = "acme_mail.jobs:tasks"
    reports = "acme_mail.jobs:register_reports"

    [tool.setuptools]
    packages = ["acme_mail"]
"""

JOBS = """
    from pathlib import Path

    from sqsw import SQSEnv, TaskRegistry

    tasks = TaskRegistry()


    @tasks.task("emails", "bounce")
    def bounce(address: str, to: str) -> None:
        Path(to).write_text(f"bounced {address}")


    def register_reports(env: SQSEnv) -> None:
        @env.processor("reports", "build")
        def build(year: int, to: str) -> None:
            Path(to).write_text(f"report of {year}")
"""

BROKEN = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "acme-broken"
    version = "0.3"

    [project.entry-points."sqsw.processors"]
    broken = "acme_broken:tasks"

    [tool.setuptools]
    packages = ["acme_broken"]
"""


class Environment:
    """A virtual environment with sqsw, in which more distributions can be installed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        venv = directory / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        self.python = venv / "bin" / "python"
        # sqsw and its dependencies come from the environment of the tests; only the plugin is
        # installed.
        checkout = Path(__file__).parents[2]
        site = next((venv / "lib").glob("python*/site-packages"))
        lines = [str(checkout), sysconfig.get_path("purelib")]
        (site / "tests.pth").write_text("\n".join(lines) + "\n")

    def install(self, name: str, pyproject: str, package: str, source: str) -> None:
        """Install a distribution with pip, as a user would."""
        project = self.directory / name
        (project / package).mkdir(parents=True)
        (project / "pyproject.toml").write_text(dedent(pyproject))
        (project / package / "__init__.py").write_text("")
        (project / package / "jobs.py").write_text(dedent(source))
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-q"]
        options = ["--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, *options, str(project)], check=True, timeout=120)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``sqsw`` in the environment."""
        return subprocess.run(
            [self.python, "-m", "sqsw_cli", *arguments],
            cwd=self.directory,
            env={**os.environ, "SQSW_LOCAL": str(self.directory / "local.db")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    pytest.importorskip("setuptools", reason="building the plugin needs setuptools")
    made = Environment(tmp_path)
    made.install("mail", PYPROJECT, "acme_mail", JOBS)
    return made


def test_a_worker_runs_the_jobs_of_an_installed_plugin(environment: Environment) -> None:
    for queue in ("emails", "reports"):
        assert environment.run("create-queue", queue).returncode == 0
    bounced, report = environment.directory / "bounced", environment.directory / "report"
    environment.run("send", "emails", "bounce", "address=ann@example.com", f"to={bounced}")
    environment.run("send", "reports", "build", "year:=2026", f"to={report}")

    worked = environment.run("work", "--until-idle", "1", "--json")

    assert worked.returncode == 0, worked.stderr
    assert bounced.read_text() == "bounced ann@example.com"
    assert report.read_text() == "report of 2026"
    assert json.loads(worked.stdout.splitlines()[-1])["done"] == 2


def test_the_tasks_of_a_plugin_are_listed_with_its_name_and_version(
    environment: Environment,
) -> None:
    listed = environment.run("inspect", "--tasks", "--json")

    tasks = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [(t["queue"], t["job"], t["distribution"]) for t in tasks] == [
        ("emails", "bounce", "acme-mail 2.1"),
        ("reports", "build", "acme-mail 2.1"),
    ]


def test_a_plugin_that_cannot_be_imported_is_named_and_others_still_load(
    environment: Environment,
) -> None:
    environment.install("broken", BROKEN, "acme_broken", "import no_such_module\n")
    init = next(environment.directory.glob("venv/lib/python*/site-packages/acme_broken"))
    (init / "__init__.py").write_text("import no_such_module\n")
    environment.run("create-queue", "emails")
    environment.run("create-queue", "reports")

    worked = environment.run("work", "--until-idle", "1")
    strict = environment.run("work", "--until-idle", "1", "--strict")

    assert worked.returncode == 0, worked.stderr
    assert "acme-broken" in worked.stderr
    assert "no_such_module" in worked.stderr
    assert strict.returncode == 7, strict.stderr
    assert "no_such_module" in strict.stderr


def test_a_job_name_of_both_app_and_plugin_stops_the_start(
    environment: Environment,
) -> None:
    (environment.directory / "shop.py").write_text(
        dedent(
            """
            from sqsw import SQSEnv

            env = SQSEnv()

            @env.processor("emails", "bounce")
            def bounce(address): ...
            """
        )
    )

    worked = environment.run("work", "shop:env", "--until-idle", "1")

    assert worked.returncode == 7
    assert "job 'emails.bounce' is registered twice" in worked.stderr
    assert "shop.bounce (app)" in worked.stderr
    assert "acme_mail.jobs.bounce (plugin acme-mail 2.1)" in worked.stderr
