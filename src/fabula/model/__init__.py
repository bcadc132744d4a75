"""The decoder family: layers, the GPT tiers and Gemma 3, initialisation schemes, generation."""

import fabula.model.spinning  # noqa: F401 -- before torch, which reads these settings when it is loaded
