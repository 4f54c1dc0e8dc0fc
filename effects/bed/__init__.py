"""The layer of effects under the music: what plays when, and how it makes room."""
