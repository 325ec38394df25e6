"""What the HTTP servers of sqsw share: which requests they answer, and how they accept and end."""
