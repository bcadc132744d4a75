"""Carrying out a ladder's plan: every run that is missing, resumed where it stands, none repeated."""
