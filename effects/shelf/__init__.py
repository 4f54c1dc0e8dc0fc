"""Recordings and generated sounds made into seamless loops, and kept."""
