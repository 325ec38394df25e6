"""The examples in the README of sqs-workers all work with sqsw."""
