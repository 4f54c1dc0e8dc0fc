"""The bundled model folder (data only)."""
