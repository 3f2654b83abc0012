"""What is done with data and models around a training."""
