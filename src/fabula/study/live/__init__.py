"""Runs while they are being made: what is read again, how far they are."""
