"""Worker processes: started, watched, replaced, reloaded. Imports ``worker``, never ``queue``."""
