"""Compare the embedded SQS with other local SQS servers; see ``README.md``."""
