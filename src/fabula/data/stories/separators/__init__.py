"""What stands between two stories of a plain text: found, chosen, and cut at."""
