"""Files: written as a whole or not at all, checkpoints, saved models, and what may be loaded."""
