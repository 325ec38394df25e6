"""The calls to SQS: QueueClient above three ways to make a call; client.py chooses the way."""
