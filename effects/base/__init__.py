"""Ground of all other packages: errors, folders, files, workers, random streams."""
