"""Logs that other programs wrote, brought to the form of a run's record: one reader a format, and one that chooses."""

from fabula.record.foreign.sniff import STDIN, read_log, read_sources

__all__ = ["STDIN", "read_log", "read_sources"]
