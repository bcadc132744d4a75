"""The figures of a page: which there are, from which curves, and how they are drawn."""
