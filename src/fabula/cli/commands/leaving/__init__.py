"""What takes a run to other programs and other people."""
