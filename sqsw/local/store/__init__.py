"""The SQLite database: tables, connections, locks, waiting receives, and the clock."""
