"""What is kept of a training on its way, and the ways back to it."""
