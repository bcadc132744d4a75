"""From final losses to verdicts: questions, statistics, effects with their intervals, and their words. No runs, no page."""
