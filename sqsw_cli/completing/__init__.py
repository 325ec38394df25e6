"""What a shell completes. Nothing here imports an app, and only a child process imports boto3."""
