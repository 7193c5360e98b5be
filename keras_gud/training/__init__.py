"""Training: statistics of the data, the loss, averaged weights, checkpoints, runs that go wrong."""
