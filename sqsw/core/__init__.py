"""The shared words of the house: errors, limits, messages, results, settings, events.

The names that sqs-workers kept in its ``core`` module can be imported from here; they are
loaded when they are asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsw.core.batch_result import BatchProcessingResult as BatchProcessingResult
    from sqsw.core.errors import SQSError as SQSError
    from sqsw.core.redrive_policy import RedrivePolicy as RedrivePolicy
else:
    _HOMES = {
        "BatchProcessingResult": "sqsw.core.batch_result",
        "RedrivePolicy": "sqsw.core.redrive_policy",
        "SQSError": "sqsw.core.errors",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
