"""SQS calls over our own connections, without botocore."""
