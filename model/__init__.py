"""Timbre space: analysis, the corpus, the VAE, and decoding at run time."""
