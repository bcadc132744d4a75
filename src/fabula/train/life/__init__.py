"""A run's life around the loop: what it will cost, its start, its resumption, its end."""
