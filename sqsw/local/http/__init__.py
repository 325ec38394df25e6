"""The HTTP server: connections, requests and their log, metrics."""
