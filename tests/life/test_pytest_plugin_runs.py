"""The plugin in other projects: real pytest runs, which find it by its entry point."""

import pytest

from tests.installed import needs_plugin

pytest_plugins = ("pytester",)

pytestmark = needs_plugin

APP = """
    import boto3

    from sqsw import SQSEnv, TaskRegistry

    # As an application says it: its jobs are on AWS, behind a prefix.
    env = SQSEnv(boto3.session.Session(region_name="eu-west-1"), queue_prefix="shop_")
    tasks = TaskRegistry()
    done = []


    @env.processor("emails", "send_email")
    def send_email(to: str) -> None:
        if to == "nobody":
            raise LookupError("there is no address like this")
        done.append(to)


    @tasks.task("reports", "build")
    def build(year: int) -> None:
        done.append(year)


    def make_env():
        made = SQSEnv(queue_prefix="made_")

        @made.processor("emails", "note")
        def note(text: str) -> None:
            done.append(text)

        return made
"""


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest on the files there, with every warning as an error."""
    return pytester.runpytest_subprocess("-W", "error", "-p", "no:cacheprovider", *options)


def configure(pytester: pytest.Pytester, app_path: str) -> None:
    """Write an application and the project file that names it."""
    pytester.makepyfile(shop=APP)
    pytester.makepyprojecttoml(
        f"""
        [tool.pytest.ini_options]
        pythonpath = ["."]
        sqsw_app = "{app_path}"
        """
    )


def test_the_environment_of_an_app_is_in_memory_during_one_test(
    pytester: pytest.Pytester,
) -> None:
    configure(pytester, "shop:env")
    pytester.makepyfile(
        """
        import pytest

        import shop
        from sqsw import create_standard_queue


        @pytest.mark.parametrize("turn", [1, 2])
        def test_a_job(sqs_env, turn):
            assert sqs_env is shop.env
            assert sqs_env.get_all_known_queues() == []
            create_standard_queue(sqs_env, "emails")
            url = sqs_env.queue("emails").client.url
            assert url.endswith("/shop_emails")
            shop.send_email.delay(to="ann@example.com")
            assert sqs_env.process_batch("emails").errors == []
            assert shop.done.pop() == "ann@example.com"


        def test_afterwards_it_is_where_it_was():
            assert shop.env.location() == "eu-west-1"
            assert shop.env.session.region_name == "eu-west-1"
        """
    )
    run(pytester).assert_outcomes(passed=3)


def test_without_an_app_no_job_leaves_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQSW_LOCAL", "queues.db")
    pytester.makepyfile(
        shop="""
        from sqsw import SQSEnv

        env = SQSEnv()


        @env.processor("emails", "send_email")
        def send_email(to: str) -> None: ...
        """
    )
    pytester.makepyfile(
        """
        import shop
        from sqsw import create_standard_queue


        def test_no_fixture_is_asked_for():  # and the client that is made here is kept
            create_standard_queue(shop.env, "emails")


        def test_the_app_sends(sqs_env):
            create_standard_queue(sqs_env, "emails")
            shop.send_email.delay(to="ann@example.com")


        def test_the_app_is_given_the_session(sqs_session):
            with shop.env.connected_to(session=sqs_session):
                create_standard_queue(shop.env, "emails")


        def test_the_variables_are_those_of_the_endpoint(sqs_env, sqs_server):
            shop.env.connect_to()  # the file was found by variables of before
            create_standard_queue(shop.env, "emails")
            assert sqs_env.get_all_known_queues() == ["emails"]


        def test_what_was_refused_is_not_in_the_file():
            shop.env.connect_to()
            assert shop.env.location().endswith("queues.db")
            assert shop.env.queue("emails").get_raw_messages(0) == []
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(['*sqsw_app = "bakery.jobs:env"*', "FAILED*::test_the_app_sends*"])


@pytest.mark.parametrize(
    ("app_path", "queue", "send", "value"),
    [
        ("shop:tasks", "reports", "shop.build.delay(year=2026)", "2026"),
        ("shop:make_env", "emails", "sqs_env.add_job('emails', 'note', text='x')", "'x'"),
    ],
)
def test_an_app_can_be_a_registry_or_a_function(
    pytester: pytest.Pytester, app_path: str, queue: str, send: str, value: str
) -> None:
    configure(pytester, app_path)
    pytester.makepyfile(
        f"""
        import pytest

        import shop
        from sqsw import create_standard_queue


        @pytest.mark.parametrize("turn", [1, 2])
        def test_a_job(sqs_env, turn):
            create_standard_queue(sqs_env, "{queue}")
            {send}
            assert sqs_env.process_batch("{queue}").errors == []
            assert shop.done.pop() == {value}
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_the_report_shows_a_job_that_raised(pytester: pytest.Pytester) -> None:
    configure(pytester, "shop:env")
    pytester.makepyfile(
        """
        import shop
        from sqsw import create_standard_queue


        def test_a_job(sqs_env):
            create_standard_queue(sqs_env, "emails")
            shop.send_email.delay(to="nobody")
            sqs_env.process_batch("emails")
            assert shop.done == ["nobody"]


        def test_its_error(sqs_env):
            create_standard_queue(sqs_env, "emails")
            shop.send_email.delay(to="nobody")
            assert sqs_env.process_batch("emails").errors == []
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=2)
    report = result.stdout.str()
    assert report.count('raise LookupError("there is no address like this")') == 2
    assert "Left contains one more item: LookupError('there is no address like this')" in report


def test_a_missing_app_is_reported_as_on_the_command_line(
    pytester: pytest.Pytester,
) -> None:
    configure(pytester, "shop:nev")
    pytester.makepyfile("def test_a_job(sqs_env): ...")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'shop' has no SQSEnv named 'nev'*"])


def test_a_project_without_queues_is_not_affected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        import sys


        def test_nothing_is_loaded(request):
            loaded = {"boto3", "botocore", "uvicorn", "sqsw.sqs_env", "sqsw.memory_sqs"}
            assert loaded.isdisjoint(sys.modules)
            assert "AWS_ENDPOINT_URL_SQS" not in os.environ
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, warnings=0)
    result.stderr.no_fnmatch_line("*")


def test_the_plugin_can_be_disabled(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a_job(sqs_env): ...")
    result = run(pytester, "-p", "no:sqsw")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'sqs_env' not found*"])


def test_a_client_that_an_app_keeps_works_in_all_modules(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="""
        import functools

        import boto3


        @functools.cache
        def sqs():
            return boto3.client("sqs")
        """
    )
    module = """
        import threading

        import shop


        def test_the_endpoint(sqs_server):
            assert "QueueUrls" not in shop.sqs().list_queues()
            shop.sqs().create_queue(QueueName="emails")


        def test_the_next_one(sqs_server):
            assert "QueueUrls" not in shop.sqs().list_queues()
    """
    last = "import threading\n\ndef test_no_thread_is_left(): assert threading.active_count() == 1"
    pytester.makepyfile(test_one=module, test_two=module, test_zero=last)
    run(pytester).assert_outcomes(passed=5)


def test_variables_and_endpoint_end_with_their_test_in_every_xdist_process(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xdist", reason="this is about pytest-xdist")
    monkeypatch.setenv("AWS_PROFILE", "of-a-developer")
    pytester.makepyfile(
        """
        import os
        import subprocess
        import sys

        import pytest

        SEND = "import boto3; boto3.client('sqs').create_queue(QueueName='of-a-child')"


        @pytest.mark.parametrize("turn", range(4))
        def test_the_endpoint(sqs_server, turn):
            subprocess.run([sys.executable, "-c", SEND], check=True)
            import boto3

            (url,) = boto3.client("sqs").list_queues()["QueueUrls"]
            assert url.startswith(sqs_server.url)


        @pytest.mark.parametrize("turn", range(4))
        def test_without(turn):
            assert "AWS_ENDPOINT_URL_SQS" not in os.environ
            assert os.environ["AWS_PROFILE"] == "of-a-developer"
        """
    )
    run(pytester, "-n", "2").assert_outcomes(passed=8)


def test_the_parking_queue_of_an_app_exists(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="""
        from sqsw import SQSEnv

        env = SQSEnv(parking="parked")

        @env.task(queue="reminders")
        def remind(to: str) -> None: ...
        """
    )
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        sqsw_app = "shop:env"
        """
    )
    pytester.makepyfile(
        """
        from shop import remind
        from sqsw import create_standard_queue

        def test_a_reminder_of_three_days(sqs_env):
            create_standard_queue(sqs_env, "reminders")
            remind.delay("ann", _delay_seconds=3 * 86_400)
            assert sqs_env.work_off().left == {"parked": 1}
            assert sqs_env.work_off(max_seconds=3 * 86_400).succeeded == 1
        """
    )
    run(pytester).assert_outcomes(passed=1)
