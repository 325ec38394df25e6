"""A plain model of SQS, and what it and the servers of others say about the engine."""
