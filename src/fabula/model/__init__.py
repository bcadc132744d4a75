"""The decoder family: layers, the GPT tiers and Gemma 3, initialisation schemes, generation."""
