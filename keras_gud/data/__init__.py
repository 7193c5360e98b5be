"""Whatever users have as data, brought to batches that Keras reads; nothing of diffusion here."""
