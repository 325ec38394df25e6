"""Calls to SQS. ``QueueClient`` is the interface; ``client.py`` chooses how each call is made."""
