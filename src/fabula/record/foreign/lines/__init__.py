"""What the lines of a table say: numbers, steps, units, and of how many runs they tell."""
