"""The kinds of files that hold stories, and how each is opened and read."""
