"""The job that runs: what its code sees, the worker around it, results that are awaited."""
