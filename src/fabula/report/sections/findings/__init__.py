"""What the page makes of findings: warnings, what could not be checked, the course of the runs, the interpretation."""
