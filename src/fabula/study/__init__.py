"""What several runs show together: effects, interactions, noise, each with its interval. No presentation."""
