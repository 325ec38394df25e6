"""Job ids in messages that were sent."""

import json
import uuid
from collections.abc import Mapping
from typing import Any


def is_new(job_id: str) -> bool:
    """Return whether sqsw created this job id: a UUID of version 7."""
    found = uuid.UUID(job_id)
    return (str(found), found.version, found.variant) == (job_id, 7, uuid.RFC_4122)


def without_job_id(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a send without their new job id, which must be there."""
    attributes = dict(entry["MessageAttributes"])
    own = attributes.pop("Sqsw")
    job_id = json.loads(own["StringValue"])["id"]
    assert is_new(job_id)
    assert own == {"DataType": "String", "StringValue": f'{{"id":"{job_id}"}}'}
    rest = {key: value for key, value in entry.items() if key != "MessageAttributes"}
    return rest | ({"MessageAttributes": attributes} if attributes else {})
