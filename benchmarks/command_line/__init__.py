"""The command line beside what does the same without it."""
