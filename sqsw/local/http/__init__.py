"""The HTTP server: connections, requests, the request log, and metrics."""
