"""The input of ``sqsw send``: items, JSON and lines of a file."""
