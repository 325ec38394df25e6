"""Check the jobs of ``send`` against the functions that will run them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqsw.core.errors import TaskNotFound
from sqsw_cli.output.printer import Printer

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.outgoing import OutgoingMessage


class JobCheck:
    """Rejects jobs and arguments that no registered function accepts.

    If no function is registered for the queue, jobs are not checked, because the queue can belong
    to another app. But an app that is named on the command line must know the queue.

    Parameters
    ----------
    env, queue :
        The environment with the jobs of apps and plugins, and the queue as it was given.
    apps :
        The apps that were loaded; can be empty.
    named :
        Whether an app was named on the command line.
    """

    def __init__(
        self, printer: Printer, env: "SQSEnv", queue: str, apps: Sequence[str], *, named: bool
    ) -> None:
        self._printer, self._env, self._apps = printer, env, apps
        self.queue = env.queue_client(queue).name
        self._functions = {
            found.job_name: found.fn
            for found in env.registrations()
            if found.queue_name == self.queue
        }
        self._checks = named or bool(self._functions)
        if apps and not self._checks:
            printer.advise(
                f"jobs for the queue {self.queue!r} are not checked",
                why=f"the configured app {', '.join(apps)} has no jobs for it",
            )

    def __call__(self, message: "OutgoingMessage") -> None:
        # A payload that is not decoded here cannot be checked.
        if not self._checks or message.job is None or message.args is None:
            return
        from sqsw.app.opening import check_job

        try:
            check_job(self._env, self.queue, message.job, message.args)
        except TaskNotFound as error:
            raise error if self._apps else _not_in_plugins(error) from error


def accept(message: "OutgoingMessage") -> None:
    """Accept every message."""


def _not_in_plugins(error: TaskNotFound) -> TaskNotFound:
    cure = "name the app that has it (--app APP), or send it anyway (--no-check)"
    return TaskNotFound(
        error.message,
        why=f"{error.why} (by plugins; no app is named or configured)",
        next=f"did you mean {error.similar!r}? Or {cure}" if error.similar else cure,
    )
