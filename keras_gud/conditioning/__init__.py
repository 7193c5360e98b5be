"""What a network is conditioned on: the noising state, and class labels."""
