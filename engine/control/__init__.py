"""What can be turned, told and read, whatever surface does it."""
