"""What ``sqsw send`` sends: items, JSON, lines of a file."""
