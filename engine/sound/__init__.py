"""Spectra to frames to samples."""
