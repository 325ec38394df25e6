"""Look after queues: create, describe, fill, look into, redrive, purge, delete.

The names that sqs-workers kept in its ``sqs_manage`` module can be imported from here; they are
loaded when they are asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsw.sqs_manage.create import create_fifo_queue as create_fifo_queue
    from sqsw.sqs_manage.create import create_standard_queue as create_standard_queue
    from sqsw.sqs_manage.remove import delete_queue as delete_queue
else:
    from sqsw.core.lazy_face import lazy_face

    _HOMES = {
        "create_fifo_queue": "sqsw.sqs_manage.create",
        "create_standard_queue": "sqsw.sqs_manage.create",
        "delete_queue": "sqsw.sqs_manage.remove",
    }

    __getattr__ = lazy_face(__name__, _HOMES)
