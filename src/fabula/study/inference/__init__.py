"""From final losses to verdicts: questions, statistics, effects with their intervals, noise, and their words."""
