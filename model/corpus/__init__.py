"""Songs cut into clips, and the clips that are kept."""
