"""Options of commands, the types of their values, and how they map to the library."""
