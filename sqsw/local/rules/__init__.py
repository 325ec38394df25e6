"""The rules of SQS for values: names, attributes, tags, digests, receipt handles."""
