"""Logs that other programs wrote, brought to the form of a run's record: one reader a format, and one that chooses."""

from fabula.record.foreign.sniff import STDIN, LeftOut, read_log, read_sources

__all__ = ["STDIN", "LeftOut", "read_log", "read_sources"]
