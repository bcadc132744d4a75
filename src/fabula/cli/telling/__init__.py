"""Stories at a terminal: one after the other, and the prompt loop."""
