"""The layer of effects under the music: schedule, mixing, and filtering."""
