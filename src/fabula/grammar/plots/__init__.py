"""The plots, one a file: what can be lost, broken, wished for, and the rules that tell of it."""
