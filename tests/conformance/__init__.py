"""What SQS promises, one promise a file; run on every backend."""
