"""Beginnings of stories: ours, the recipes' three, those of validation stories, and the user's."""
