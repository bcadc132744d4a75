"""Coherence: does a model tell a story? Prompt sets, completions, and measures of stories; `fabula evaluate`."""
