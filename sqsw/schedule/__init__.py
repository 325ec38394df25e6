"""Periodic jobs: the rules of schedules, and the sender of their ticks."""
