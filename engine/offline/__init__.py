"""Rendering without a device: songs, stems and replays; journals and song cards."""
