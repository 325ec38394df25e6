"""Start, monitor, replace and reload worker processes. Imports ``worker``, never ``queue``."""
