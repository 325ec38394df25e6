"""SQS calls without botocore: one signature, one request, one answer."""
