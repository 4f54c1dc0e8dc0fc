"""Streams of the master: HTTP, Icecast, HLS, snapcast and pipes, in a process apart."""
