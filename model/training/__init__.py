"""A model from a corpus: network, losses, training, export, figures."""
