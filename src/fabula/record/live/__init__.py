"""A record while it is being written: whether it has changed, and what it said last."""
