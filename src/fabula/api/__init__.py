"""What the commands do, as functions: the Python API (docs/python.md). `fabula` itself hands these names out."""
