"""What is played, into FLAC files that survive a crash."""
