"""The run folder: the only thing that crosses the wall between making a run and reading it."""
