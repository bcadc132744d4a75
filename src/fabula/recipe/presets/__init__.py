"""The recipes that come with fabula: by name, as files, in other sizes, and what they reached."""
