"""Text to features, tags and predictions, without torch."""
