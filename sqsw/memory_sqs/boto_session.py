"""The boto3 session that makes clients for the embedded SQS."""

import functools
import os
import threading
from typing import Any

from sqsw.local.engine import DEFAULT_REGION

# One lock for all sessions, because botocore's sessions are not thread-safe. It is held during a
# fork, so a child does not inherit a session that is only half created.
making = threading.RLock()
os.register_at_fork(
    before=making.acquire,
    after_in_parent=making.release,
    after_in_child=making.release,
)


@functools.cache
def boto_session() -> Any:
    """Return the boto3 session that all embedded sessions share.

    Creating one costs as much as a hundred calls. It needs no credentials and reads no files. It
    does not know an engine: ``attach`` connects each client to one.
    """
    import boto3.session
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    # Ignore profiles and files from the environment: they are for AWS, and a missing one would
    # raise an error.
    nowhere = (None, None, None, None)
    core = botocore.session.Session(
        session_vars=dict.fromkeys(("profile", "config_file", "credentials_file"), nowhere)
    )
    core.set_credentials("local", "local")
    core.set_default_client_config(
        Config(
            signature_version=UNSIGNED,
            # Building botocore's default takes a third of the time of a call.
            user_agent="sqsw",
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
        )
    )
    return boto3.session.Session(botocore_session=core, region_name=DEFAULT_REGION)
