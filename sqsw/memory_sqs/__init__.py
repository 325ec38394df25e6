"""Sessions on the embedded SQS, in memory or in a file that processes share, and an HTTP server.

Use a session in place of a boto3 session. It makes real boto3 clients: botocore checks parameters,
raises errors, and retries as with AWS, but requests go to the embedded SQS instead of the network.
An :class:`~sqsw.SQSEnv` makes its frequent calls without a client.

The names are imported lazily.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsw.local.engine import DEFAULT_REGION as DEFAULT_REGION
    from sqsw.memory_sqs.addresses import DEFAULT_HOST as DEFAULT_HOST
    from sqsw.memory_sqs.addresses import DEFAULT_PATH as DEFAULT_PATH
    from sqsw.memory_sqs.addresses import DEFAULT_PORT as DEFAULT_PORT
    from sqsw.memory_sqs.addresses import local_path as local_path
    from sqsw.memory_sqs.addresses import serve_address as serve_address
    from sqsw.memory_sqs.local_session import LocalSession as LocalSession
    from sqsw.memory_sqs.memory_session import MemoryAWS as MemoryAWS
    from sqsw.memory_sqs.memory_session import MemorySession as MemorySession
    from sqsw.memory_sqs.serving import serve as serve
else:
    from sqsw.core.lazy_face import lazy_face

    _HOMES = {
        "DEFAULT_HOST": "sqsw.memory_sqs.addresses",
        "DEFAULT_PATH": "sqsw.memory_sqs.addresses",
        "DEFAULT_PORT": "sqsw.memory_sqs.addresses",
        "DEFAULT_REGION": "sqsw.local.engine",
        "LocalSession": "sqsw.memory_sqs.local_session",
        "MemoryAWS": "sqsw.memory_sqs.memory_session",
        "MemorySession": "sqsw.memory_sqs.memory_session",
        "local_path": "sqsw.memory_sqs.addresses",
        "serve": "sqsw.memory_sqs.serving",
        "serve_address": "sqsw.memory_sqs.addresses",
    }

    __getattr__ = lazy_face(__name__, _HOMES)
