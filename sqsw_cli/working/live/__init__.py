"""The live view of ``sqsw work``: a block of figures below the lines that scroll."""
