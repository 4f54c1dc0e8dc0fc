"""Surfaces that are not OSC: MIDI controllers and media keys."""
