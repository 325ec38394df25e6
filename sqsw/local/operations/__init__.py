"""The operations of SQS, each on the store and by the rules."""
