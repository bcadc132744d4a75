"""What is said of a run after its training, a session at a time."""
