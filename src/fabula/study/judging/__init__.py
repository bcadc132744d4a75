"""What a judge's sessions show: whether the judge can be believed, and what it says, each with its interval."""
