"""Start, watch, replace and reload worker processes. Imports ``worker``, never ``queue``."""
