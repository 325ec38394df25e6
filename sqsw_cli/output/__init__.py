"""How results look: tables for a person, lines for a pipe, JSON for a program."""
