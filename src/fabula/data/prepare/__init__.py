"""From a source to a prepared folder: splits, duplicates, vocabulary, encoding, writing."""
