"""What everything stands on: errors, folders, workers, files written whole."""
