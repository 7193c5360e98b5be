"""Data sets of any kind, brought to batches that Keras reads; nothing of diffusion here."""
