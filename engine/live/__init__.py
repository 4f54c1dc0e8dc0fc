"""The real-time path: producer, ring, mixer, device and session."""
