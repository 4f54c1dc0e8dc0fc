"""Audio primitives: levels, fades, loudness, the limiter, sound files."""
