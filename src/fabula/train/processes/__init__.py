"""One run on several processes: they share the rows of each step, and the first one decides, tells and writes."""
