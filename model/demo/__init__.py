"""The recipe of the bundled model's corpus."""
