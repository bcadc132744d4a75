"""One token after the other: generation with caches and prepared weights."""
