"""Unit tests of the embedded SQS, on a clock that only moves if a test moves it."""
