"""The yardstick: held-out loss that no phase can move, and completions."""
