"""Groups of runs against a base, for whoever must decide: keep a change, drop it, or make more runs."""
