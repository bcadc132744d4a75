"""This machine, and what it has free: device, precision, threads, memory, neighbours; each choice with its reason."""
