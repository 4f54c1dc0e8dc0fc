"""Nature sounds of our own, one a file."""
