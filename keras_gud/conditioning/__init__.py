"""What a network may be conditioned on beside its input: the noising state, class labels."""
