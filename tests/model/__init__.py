"""Compares the embedded SQS with a plain model of SQS, and with other servers."""
