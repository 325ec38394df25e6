"""``send``: compare jobs with what is known of the functions that will run them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqsw.core.errors import TaskNotFound
from sqsw_cli.output.printer import Printer

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.outgoing import OutgoingMessage


class JobCheck:
    """Refuses jobs and arguments that no registered function takes.

    Where none is registered for the queue they are sent: other apps have queues, too. Only an app
    that was named for this very command has to know it.

    Parameters
    ----------
    env, queue :
        With the jobs of apps and plugins, and the queue as it was named.
    apps :
        The apps that were loaded; none: there are plugins alone, or nothing at all.
    named :
        Whether the app stands on the command line.
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
                f"nothing is registered for the queue {self.queue!r}: sent unchecked",
                why=f"the app {', '.join(apps)} is configured, and works other queues",
            )

    def __call__(self, message: "OutgoingMessage") -> None:
        # A payload that is not decoded here cannot be compared.
        if not self._checks or message.job is None or message.args is None:
            return
        from sqsw.app.opening import check_job

        try:
            check_job(self._env, self.queue, message.job, message.args)
        except TaskNotFound as error:
            raise error if self._apps else _known_to_no_plugin(error) from error


def accept(message: "OutgoingMessage") -> None:
    """No check at all."""


def _known_to_no_plugin(error: TaskNotFound) -> TaskNotFound:
    cure = "name the app that has it: --app APP, or send unchecked: --no-check"
    return TaskNotFound(
        error.message,
        why=f"{error.why}, by plugins; no app is named or configured",
        next=f"did you mean {error.similar!r}? Or {cure}" if error.similar else cure,
    )
