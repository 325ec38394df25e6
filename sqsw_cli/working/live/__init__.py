"""The live view of ``sqsw work``: a block of figures below the log."""
