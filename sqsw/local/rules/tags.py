"""The rules for queue tags, which CreateQueue and TagQueue share.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html
"""

from collections.abc import Mapping
from typing import Final

from sqsw.local.errors import InvalidParameterValueException

#: the most tags of a queue
MAX_TAGS: Final = 50
_MAX_KEY, _MAX_VALUE = 128, 256


def check_tags(queue_name: str, tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise InvalidParameterValueException(f"Too many tags added for queue {queue_name}.")
    for key, value in tags.items():
        check_tag_key(key)
        if key.lower().startswith("aws:"):
            raise InvalidParameterValueException(
                "Tag keys must not start with 'aws:', which is reserved for AWS."
            )
        if len(value) > _MAX_VALUE:
            raise InvalidParameterValueException(
                f"Tag values must be between 0 and {_MAX_VALUE} characters in length."
            )


def check_tag_key(key: str) -> None:
    if not 1 <= len(key) <= _MAX_KEY:
        raise no_tag_key()


def no_tag_key() -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Tag keys must be between 1 and {_MAX_KEY} characters in length."
    )
