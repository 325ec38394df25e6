"""What stands around every job."""
