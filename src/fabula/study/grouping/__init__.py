"""Runs that come without a ladder, by what they are: equal recipes are seeds of one, whatever their names."""
