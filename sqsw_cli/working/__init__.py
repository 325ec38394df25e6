"""What ``sqsw work`` adds to the library: banner, logs, lock, reload, live view."""
