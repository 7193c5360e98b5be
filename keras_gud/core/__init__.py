"""What every other folder builds on: parts by name, shapes, checks of arguments, random numbers."""
