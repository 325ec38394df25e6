"""boto3 clients that need no credentials, read no files and know no network."""

import functools
import os
import threading
from typing import Any

from sqsw.local.engine import DEFAULT_REGION

# One lock for all sessions, held over a fork: botocore's sessions are not made for two threads, and
# a child must not inherit one that is half made.
making = threading.RLock()
os.register_at_fork(
    before=making.acquire,
    after_in_parent=making.release,
    after_in_child=making.release,
)


@functools.cache
def boto_session() -> Any:
    """One boto3 session for all of ours, since making one costs as much as a hundred calls.

    It needs no credentials, reads no files and knows no engine: clients are attached one by one.
    """
    import boto3.session
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    # A profile or a file that is named in the environment is meant for AWS; one that is missing
    # would be an error even here.
    nowhere = (None, None, None, None)
    core = botocore.session.Session(
        session_vars=dict.fromkeys(("profile", "config_file", "credentials_file"), nowhere)
    )
    core.set_credentials("local", "local")
    core.set_default_client_config(
        Config(
            signature_version=UNSIGNED,
            # Building botocore's own is a third of the time of a call.
            user_agent="sqsw",
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
        )
    )
    return boto3.session.Session(botocore_session=core, region_name=DEFAULT_REGION)
