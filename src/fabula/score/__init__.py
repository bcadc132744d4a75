"""The yardstick: validation loss that no phase can move, and completions."""
