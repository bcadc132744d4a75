"""A page on this machine where one prompts models, and the same models for other programs (`fabula play`)."""
