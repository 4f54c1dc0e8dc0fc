"""Composition, synthesis, the real-time path, and everything a user touches."""
