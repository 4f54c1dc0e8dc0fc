"""Bundled grammars (data only)."""
