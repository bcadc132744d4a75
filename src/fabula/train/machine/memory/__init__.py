"""Memory that a training takes, that is free, and that it keeps."""
