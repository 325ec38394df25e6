"""The parts that all HTTP servers of sqsw share: request checks, and how they run and end."""
