"""Manage queues: create, describe, fill, peek, redrive, purge and delete them.

The names of sqs-workers' ``sqs_manage`` module can be imported from here. They are loaded on
access.
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
