"""Compare the command line with programs that do the same without it."""
