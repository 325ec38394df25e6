"""Long delays: a parking place keeps jobs that SQS cannot delay for long enough."""
