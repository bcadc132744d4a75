"""Before a run: how noisy it will be, what a ladder can tell."""
