"""The embedded SQS by itself, on a clock that stands still until a test moves it."""
