"""Preparation of recordings and generated sounds as loops, and their library."""
