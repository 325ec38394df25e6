"""Turn errors into exit codes, hints and messages."""
