"""Other SQS clients against ``sqsw serve``, used as their manuals say."""
