"""Text that comes from outside, as stories and names do: what a word of it is, English, and no markup in it."""
