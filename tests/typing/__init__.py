"""Files that mypy must accept or refuse, because types are part of the API."""
