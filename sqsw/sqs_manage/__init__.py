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
    _HOMES = {
        "create_fifo_queue": "sqsw.sqs_manage.create",
        "create_standard_queue": "sqsw.sqs_manage.create",
        "delete_queue": "sqsw.sqs_manage.remove",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
