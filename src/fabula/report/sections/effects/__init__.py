"""The part of a page that gives credit: effects, their tables, equal time, and the rates that were chosen."""
