"""The README of sqs-workers: every example of it works under the name of sqsw."""
