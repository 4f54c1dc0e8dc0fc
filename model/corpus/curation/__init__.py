"""Curation: which clips are kept, decided one at a time in an order that helps."""
