"""Bundled presets (data only)."""
