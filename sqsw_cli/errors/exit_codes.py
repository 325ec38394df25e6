"""Exit codes by error class."""

from enum import IntEnum

from sqsw.core.errors import (
    AccessDenied,
    AppLoadError,
    Busy,
    MessageRefused,
    QueueNotFound,
    ScheduleNotFound,
    SettingsError,
    SQSBatchError,
    TaskAlreadyRegistered,
    TaskNotFound,
)


class Exit(IntEnum):
    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    ACCESS = 4
    PARTIAL = 5
    BUSY = 6
    APP = 7
    CHECK = 8
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


_BY_CLASS: dict[type[BaseException], Exit] = {
    SettingsError: Exit.USAGE,
    MessageRefused: Exit.USAGE,
    QueueNotFound: Exit.NOT_FOUND,
    TaskNotFound: Exit.NOT_FOUND,
    ScheduleNotFound: Exit.NOT_FOUND,
    AccessDenied: Exit.ACCESS,
    SQSBatchError: Exit.PARTIAL,
    Busy: Exit.BUSY,
    AppLoadError: Exit.APP,
    TaskAlreadyRegistered: Exit.APP,
}


def exit_code_of(error: BaseException) -> Exit:
    """Return the exit code of the error's nearest class in the table, or 1."""
    for cls in type(error).__mro__:
        if cls in _BY_CLASS:
            return _BY_CLASS[cls]
    return Exit.FAILURE
