"""What trainings and ladders have beside them at a terminal: processes, trackers, a watch, looks, the outcome."""
