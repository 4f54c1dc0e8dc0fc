"""What to play: pure, seeded, without clock or files."""
