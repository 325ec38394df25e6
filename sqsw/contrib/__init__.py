"""Bridges to other frameworks. Each one needs its framework, which sqsw does not install."""
