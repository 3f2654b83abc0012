"""What a config and its data look like before training."""
