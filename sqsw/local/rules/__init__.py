"""SQS's rules for values: names, attributes, tags, digests, receipt handles."""
