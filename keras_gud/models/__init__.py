"""The Keras models, and what a trained one can do, one subject a file."""
