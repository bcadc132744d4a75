"""A run folder from anybody's training loop, without torch."""
