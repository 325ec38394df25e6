"""The two protocols of SQS: JSON and the older Query protocol."""
