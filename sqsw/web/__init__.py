"""Shared by all HTTP servers of sqsw: which requests they accept, and how they run and end."""
