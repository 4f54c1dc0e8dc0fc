"""Nature sounds, and the audio primitives that every layer shares."""
