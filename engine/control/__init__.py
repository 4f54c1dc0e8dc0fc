"""The ground of the engine: tables of controls, commands and readings."""
