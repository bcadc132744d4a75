"""What reads runs and logs that are there."""
