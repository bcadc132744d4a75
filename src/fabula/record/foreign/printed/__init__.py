"""Printed lines of training programs: `FORMATS` lists what is known of each."""

from fabula.record.foreign.printed.formats import FORMATS
from fabula.record.foreign.printed.reading import find

__all__ = ["FORMATS", "find"]
