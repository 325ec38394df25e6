"""The options of commands, the types of their values, and what they mean to the library."""
