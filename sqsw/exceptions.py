"""The error tree under the path that sqs-workers had for it."""

from sqsw.core.errors import *  # noqa: F403 - this file is a door, and nothing else
