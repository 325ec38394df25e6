"""Output: tables for people, lines for pipes, JSON for programs."""
