"""The SQLite tables and what keeps them: connections, locks, waiting, clock."""
