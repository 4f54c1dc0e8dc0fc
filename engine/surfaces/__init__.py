"""Other ways to turn a control: MIDI, media keys."""
