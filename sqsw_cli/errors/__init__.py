"""What becomes of an error: exit code, hint, and how it is shown."""
