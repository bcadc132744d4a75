"""Whether a page still says what its records say: every number of it, recomputed."""
