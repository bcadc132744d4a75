"""What is typed and what is shown: terminal, words, curves, signals."""
