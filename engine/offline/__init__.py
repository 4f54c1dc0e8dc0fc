"""The same graph without a device: render, replay, stems, song cards."""
