"""Stories as people have them: finding the files, reading them piece by piece, telling one story from the next."""
