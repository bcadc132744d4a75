"""Forms of logs that are no printed lines, a reader each."""
