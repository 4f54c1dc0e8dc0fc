"""The real-time path and what surrounds it."""
