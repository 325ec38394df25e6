"""How fast the embedded SQS is, beside others of its kind; ``README.md`` says how to read it."""
