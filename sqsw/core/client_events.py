"""What a client can be asked beside SQS's operations: events on botocore's own emitter.

Sessions on the embedded SQS listen for them; AWS has no such thing, so there they go unheard.
"""

from typing import Final

#: Emitted on a client: its long polls that wait in this process shall end now.
END_POLLS_EVENT: Final = "sqsw.end-polls"

#: Emitted on a client with ``queue_url``, ``after`` and ``limit``: the response is a part of what
#: could be received now, looked at without a receive.
PEEK_EVENT: Final = "sqsw.peek"
