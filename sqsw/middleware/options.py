"""The options of a processor."""

from collections.abc import Sequence
from typing import Literal, TypedDict

from sqsw.core.contracts import Backoff
from sqsw.core.failure_rules import Errors
from sqsw.middleware.chain import Middleware

#: Where the function of a processor runs; see :class:`~sqsw.processors.Processor`.
Executor = Literal["auto", "process"]


class ProcessorOptions(TypedDict, total=False):
    """The keyword options of a processor; see :class:`~sqsw.processors.Processor`."""

    backoff_policy: Backoff | None
    middlewares: Sequence[Middleware]
    time_limit: float | None
    executor: Executor
    check_arguments: bool
    max_attempts: int | None
    give_up_on: Errors
    typed_arguments: bool | None
