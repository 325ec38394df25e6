"""Files that mypy must accept or refuse: the types are an API too."""
