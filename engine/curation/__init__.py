"""Clips heard while they are judged."""
