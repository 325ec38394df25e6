"""The command-line parts of ``sqsw work``: banner, logs, lock, reload, live view."""
