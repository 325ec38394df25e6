"""The operations of SQS: they check parameters by the rules and change the store."""
