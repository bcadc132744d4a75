"""How long a run is: what it will cost, what fits into a time, and making it longer."""
