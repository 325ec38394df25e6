"""The rules of SQS, one topic per file; run on every backend."""
