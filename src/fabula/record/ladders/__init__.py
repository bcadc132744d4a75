"""The documents that lie in a ladder's folder beside its runs."""
