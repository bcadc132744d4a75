"""fabula trains small language models from scratch and shows, with evidence, what made them good."""

__version__ = "0.1.0"
