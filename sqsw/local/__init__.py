"""The embedded SQS: Amazon SQS on SQLite, in memory or in a file. Imports nothing of sqsw."""
