"""sqsw: jobs on Amazon SQS."""
