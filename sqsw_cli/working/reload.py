"""``sqsw work --reload``: report errors in the app, and wait for the next change."""

from typing import TYPE_CHECKING

from sqsw.core.errors import AppLoadError, SQSError
from sqsw.core.events import WorkerFailed
from sqsw_cli.errors.failures import failure_of, show
from sqsw_cli.errors.hints import explained
from sqsw_cli.invocation import Invocation
from sqsw_cli.working.banner import BannerLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqsw.core.settings import QueueShare
    from sqsw.sqs_env import SQSEnv


class ReloadLog(BannerLog, quick=True):
    def __init__(
        self, invocation: Invocation, env: "SQSEnv | None", shares: "Sequence[QueueShare]" = ()
    ) -> None:
        super().__init__(invocation.printer, shares)
        self._invocation, self._env = invocation, env

    def worker_failed(self, event: WorkerFailed) -> None:
        error = event.error
        if isinstance(error, SQSError) and self._env is not None:
            error = explained(error, self._invocation, self._env)
        failure = failure_of(error)
        if isinstance(error, AppLoadError):
            failure.next = "fix the app; the worker restarts at the next change"
        show(failure, as_json=False, color=self._invocation.color_on_stderr)


def loaded_if_sound(
    load: "Callable[[], SQSEnv]", choose: "Callable[[SQSEnv], Sequence[QueueShare]]"
) -> "tuple[SQSEnv, Sequence[QueueShare]] | None":
    """Return the app and its queues for the banner; None if loading fails, which workers report."""
    try:
        env = load()
        return env, choose(env)
    except SQSError:
        return None
