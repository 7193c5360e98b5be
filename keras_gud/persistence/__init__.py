"""Files: written atomically, checkpoints, saved models, and checks of files before loading."""
