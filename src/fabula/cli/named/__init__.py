"""What a command line names (runs, models, logs), and what is meant where it names nothing."""
