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
    from sqsw.core.lazy_face import lazy_face

    _HOMES = {
        "BatchProcessingResult": "sqsw.core.batch_result",
        "RedrivePolicy": "sqsw.core.redrive_policy",
        "SQSError": "sqsw.core.errors",
    }

    __getattr__ = lazy_face(__name__, _HOMES)
