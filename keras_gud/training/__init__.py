"""Training: statistics of the data, the loss, averaged weights, checkpoints, stops at NaN."""
