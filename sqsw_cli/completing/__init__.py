"""Shell completion. It never imports an app, and only a child process imports boto3."""
