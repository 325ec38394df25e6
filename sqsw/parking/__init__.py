"""Long delays: jobs that are due later than SQS can delay a message wait in a parking place."""
