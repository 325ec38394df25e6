"""The calls to SQS: one seam, a plain boto3 client."""
